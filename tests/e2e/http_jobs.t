# http jobs: what they may reach, what comes back, what can go wrong.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::WebServer;
use IO::Compress::Gzip qw(gzip);
use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Test::More;
use Time::HiRes qw(time);

my $web = Gather::WebServer->new;
# A proxy of the environment would be used by many; it must not be.
my $daemon = Gather::Daemon->new(
	workers      => 1,
	'http.allow' => [ '127.0.0.1', '::1' ],
	env          => { http_proxy => 'http://127.0.0.1:9', ALL_PROXY => 'http://127.0.0.1:9' }
)->start;

sub url { return $web->url(@_) }

# Run one, to its end: the job.
sub http_job {
	my ($args, %fields) = @_;
	my $on = delete $fields{on} // $daemon;
	my (undef, $job) = http_json($on->socket, 'POST', '/v1/jobs?wait=30s', { type => 'http', args => $args, %fields });
	return $job;
}

# A job that must fail: its error's code and message.
sub fails {
	my ($name, $args, $code, $message, %fields) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $job = http_job($args, %fields);
	my $error = $job->{error} // {};
	is($error->{code} // $job->{state} // $job->{code}, $code, "$name: $code");
	like($error->{message} // '', $message, "$name: says why");
	return $job;
}

subtest 'addresses that are shut' => sub {
	my $shut = Gather::Daemon->new(workers => 1)->start;
	my $port = $web->port;
	my @private = (
		[ "127.0.0.1:$port",          qr/127\.0\.0\.1 is a loopback address; allow it in gatherd\.conf: http\.allow = \{"127\./ ],
		[ "localhost:$port",          qr/localhost \((127\.0\.0\.1|::1)\) is a loopback.*http\.allow/ ],
		[ "2130706433:$port",         qr/loopback.*http\.allow/ ],
		[ "0x7f.1:$port",             qr/loopback.*http\.allow/ ],
		[ "0177.0.0.1:$port",         qr/loopback.*http\.allow/ ],
		[ "127.1:$port",              qr/loopback.*http\.allow/ ],
		[ "127.255.255.254:$port",    qr/loopback.*http\.allow/ ],
		[ "0.0.0.0:$port",            qr/0\.0\.0\.0 is/ ],
		[ "[::1]:$port",              qr/::1.* is a loopback address/ ],
		[ "[::ffff:127.0.0.1]:$port", qr/ is a.*address/ ],
		[ "[::ffff:7f00:1]:$port",    qr/ is a.*address/ ],
		[ "[64:ff9b::7f00:1]:$port",  qr/ is a.*address/ ],
		[ '10.0.0.5',                 qr/10\.0\.0\.5 is a private address; allow it in gatherd\.conf: http\.allow = \{"10\./ ],
		[ '192.168.1.1',              qr/private.*http\.allow/ ],
		[ '172.16.0.1',               qr/private.*http\.allow/ ],
		[ '100.64.0.1',               qr/http\.allow/ ],
		[ '[fe80::1]',                qr/link-local.*http\.allow/ ],
		[ '[fd00::1]',                qr/private.*http\.allow/ ],
	);
	for my $case (@private) {
		my ($host, $message) = @$case;
		my $job = fails($host, { url => "http://$host/" }, 'address_refused', $message, on => $shut, retries => 3);
		is($job->{attempts}, 1, "$host: trying again would not help");
	}
	for my $host ('169.254.169.254', '[fd00:ec2::254]', '2852039166', '[::ffff:169.254.169.254]') {
		my $job = fails("$host, with all allowed", { url => "http://$host/" }, 'address_refused', qr/metadata/);
		unlike($job->{error}{message} // '', qr/allow it/, "$host: no remedy is offered");
	}
	is($shut->stop, 0, 'the daemon stops');
};

subtest 'addresses that are opened' => sub {
	is(http_job({ url => url('/') })->{state}, 'succeeded', 'by http.allow');
	is(http_job({ url => $web->url('/', 'localhost') })->{state}, 'succeeded', 'also by a name that leads there');
	fails('the next address', { url => $web->url('/', '127.0.0.2') }, 'address_refused', qr/127\.0\.0\.2/);
	my $narrow = Gather::Daemon->new(workers => 1, 'http.allow' => [ 'localhost:' . $web->port ])->start;
	is(http_job({ url => $web->url('/', 'localhost') }, on => $narrow)->{state}, 'succeeded', 'a host and its port');
	fails('another port', { url => 'http://localhost:1/' }, 'address_refused', qr/localhost/, on => $narrow);
	# What the refusal says to write, opens it.
	my $job = http_job({ url => url('/') }, on => $narrow);
	my ($entry) = $job->{error}{message} =~ /http\.allow = \{"([^"]+)"\}/;
	$narrow->stop;
	$narrow->conf('http.allow' => [$entry])->start;
	is(http_job({ url => url('/') }, on => $narrow)->{state}, 'succeeded', "the remedy works: $entry");
	$narrow->stop;
};

subtest 'redirects' => sub {
	my $job = http_job({ url => url('/redirect/3') });
	is($job->{state}, 'succeeded', 'three are followed');
	is($job->{result}{redirects}, 3, '... and counted');
	is($job->{result}{url}, url('/redirect/0'), '... and where they led is told');
	is($job->{body}, "arrived\n", '... to this');
	my $to = sub { url("/redirect?to=$_[0]") };
	fails('to a refused address', { url => $to->('http://127.0.0.2:1/') }, 'address_refused', qr/127\.0\.0\.2/);
	fails('to metadata', { url => $to->('http://169.254.169.254/latest/') }, 'address_refused', qr/metadata/);
	fails('to a file', { url => $to->('file:///etc/passwd') }, 'bad_url', qr/http/);
	fails('to gopher', { url => $to->('gopher://127.0.0.1:70/') }, 'bad_url', qr/http/);
	fails('in a circle', { url => url('/redirect/100'), follow => 10 }, 'too_many_redirects', qr/10/);
	$job = fails('follow=0', { url => url('/redirect/1'), follow => 0 }, 'http_status', qr/302/);
	is($job->{result}{headers}{location}, '/redirect/0', '... is the answer itself');

	# Credentials are for the host that they were given for.
	my $other = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($head) = Gather::WebServer::read_request($socket);
			$self->note('authorization') if $head =~ /^Authorization:/mi;
			$self->note('cookie') if $head =~ /^Cookie:/mi;
			Gather::WebServer::answer($socket, 200, 'fine');
		}
	);
	my %secret = (headers => { Authorization => 'Bearer x', Cookie => 'a=b' });
	is(http_job({ url => url('/redirect?to=' . $other->url('/', 'localhost')), %secret })->{body}, 'fine', 'to another host');
	is_deeply([ $other->notes ], [], '... without credentials');
	is(http_job({ url => $other->url('/'), %secret })->{body}, 'fine', 'with them');
	is_deeply([ $other->notes ], [ 'authorization', 'cookie' ], '... where they belong');
};

subtest 'statuses' => sub {
	my $job = fails('404', { url => url('/status/404') }, 'http_status', qr/HTTP 404 Not Found/, retries => 3);
	is($job->{attempts}, 1, '... is not tried again');
	is($job->{result}{status}, 404, '... its status is kept');
	is($job->{body}, "status 404\n", '... and its body');
	is(http_job({ url => url('/status/404'), ok_status => [404] })->{state}, 'succeeded', 'ok_status');
	is(http_job({ url => url('/status/204') })->{state}, 'succeeded', '204 has no body');
	$job = fails('500', { url => url('/status/500') }, 'http_status', qr/HTTP 500/, retries => { max => 2, initial => '10ms' });
	is($job->{attempts}, 3, '... is tried again');

	my $busy = Gather::WebServer->scripted(
		sub {
			my ($self, $socket, $number) = @_;
			Gather::WebServer::read_request($socket);
			$self->note(time);
			Gather::WebServer::answer($socket, $number == 1 ? (503, 'later', 'Retry-After: 1') : (200, 'now'));
		}
	);
	$job = http_job({ url => $busy->url }, retries => { max => 1, initial => '1ms' });
	is($job->{body}, 'now', '503, then 200');
	my @times = $busy->notes;
	cmp_ok($times[1] - $times[0], '>=', 0.99, '... not before its Retry-After');
};

subtest 'what can go wrong on the way' => sub {
	my %retries = (retries => { max => 1, initial => '1ms' });
	my $dead = Gather::WebServer::dead_port();
	is(fails('refused', { url => "http://127.0.0.1:$dead/" }, 'connect_failed', qr/127\.0\.0\.1.*$dead/, %retries)->{attempts}, 2,
		'... is tried again');
	fails('no such name', { url => 'http://no-such-host.invalid/' }, 'resolve_failed', qr/no-such-host\.invalid/);
	my $job = fails('too slow', { url => url('/delay/60000/1') }, 'timeout', qr/timeout of 100ms/, timeout => '100ms', %retries);
	is($job->{attempts}, 2, '... is tried again');
	fails('a byte now and then', { url => url('/slow-body') }, 'timeout', qr/timeout of 200ms/, timeout => '200ms');
	fails('dropped', { url => url('/drop') }, 'connection_lost', qr/./);
	fails('cut short', { url => url('/short-body') }, 'connection_lost', qr/./);
	fails('no HTTP', { url => url('/garbage') }, 'protocol', qr/./);
	fails('endless', { url => url('/endless') }, 'body_too_large', qr/1048576|1 ?MiB/);
	fails('over max_body', { url => url('/delay/0/2000'), max_body => '1KiB' }, 'body_too_large', qr/1024|1 ?KiB/);
	is(http_job({ url => url('/delay/0/1024'), max_body => '1KiB' })->{state}, 'succeeded', 'exactly max_body is taken');
	my $header = http_job({ url => url('/big-header/10000000') });
	is($header->{state}, 'failed', 'a header of 10 MB');
	is(http_job({ url => url('/') })->{state}, 'succeeded', 'after all that, it works on');
};

subtest 'TLS' => sub {
	my $tls = Gather::WebServer->tls;
	fails('a self-signed certificate', { url => $tls->url('/') }, 'tls_failed', qr/certificate/);
	fails('... by its name', { url => $tls->url('/', 'localhost') }, 'tls_failed', qr/certificate/);
	my $job = http_job({ url => $tls->url('/'), verify => JSON::PP::false });
	is($job->{state}, 'succeeded', 'verify=false takes it') or diag($job->{error}{message});
	like($job->{body}, qr/TLSv1\.[23]/, '... by TLS');
	my $plain = Gather::WebServer->scripted(sub { sysread $_[1], my $hello, 65536; print { $_[1] } "HTTP/1.1 400 No\r\n\r\n" });
	fails('no TLS there', { url => 'https://127.0.0.1:' . $plain->port . '/' }, 'tls_failed', qr/./);
};

subtest 'requests' => sub {
	my $echo = sub { http_job({ url => url('/echo'), @_ }) };
	my $job = $echo->(json => { n => 1, text => "\x{e4}" });
	is_deeply(JSON::PP->new->decode($job->{body}), { n => 1, text => "\x{e4}" }, 'json');
	is($job->{result}{content_type}, 'application/json', '... with its type');
	is($echo->(json => [ 0.1, 5, -1.5e-7 ])->{body}, '[0.1,5,-1.5e-7]', '... numbers as they were');
	is($job->{result}{headers}{'x-method'}, 'POST', '... posted');
	$job = $echo->(form => { a => 'x y&z', b => [ 1, JSON::PP::true ], c => 0.1 });
	is(join('&', sort split /&/, $job->{body}), 'a=x+y%26z&b=1&b=true&c=0.1', 'form');
	is($job->{result}{content_type}, 'application/x-www-form-urlencoded', '... with its type');
	is($echo->(body => 'text')->{body}, 'text', 'body');
	$job = $echo->(body_base64 => encode_base64("\0\xff", ''));
	is($job->{body_base64}, encode_base64("\0\xff", ''), 'body_base64: any bytes, and back');
	is($echo->(method => 'PUT', body => 'x')->{result}{headers}{'x-method'}, 'PUT', 'method');
	is($echo->(method => 'DELETE')->{result}{headers}{'x-method'}, 'DELETE', '... without a body');
	is($echo->(method => 'HEAD')->{state}, 'succeeded', '... HEAD has none');

	$job = http_job({ url => url('/headers'), headers => { 'X-One' => 'a', 'X-Two' => [ 'b', 'c' ], 'X-Number' => 5 } });
	like($job->{body}, qr/^X-One: a\r$/m, 'headers');
	like($job->{body}, qr/^X-Two: b\r\n(?:.*\n)?X-Two: c\r$/m, '... a list of values');
	like($job->{body}, qr/^X-Number: 5\r$/m, '... a number');
	like($job->{body}, qr/^Host: 127\.0\.0\.1:\d+\r$/m, '... the host');

	my $path = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($head) = Gather::WebServer::read_request($socket);
			Gather::WebServer::answer($socket, 200, $head =~ /^GET (\S+)/);
		}
	);
	is(http_job({ url => $path->url('/p?a=1#part'), params => { q => "x y\x{e4}" } })->{body}, '/p?a=1&q=x%20y%C3%A4', 'params');
	is(http_job({ url => $path->url('/'), params => { half => 0.1 } })->{body}, '/?half=0.1', '... a number as it was written');

	fails('a line break in a header', { url => url('/'), headers => { 'X-A' => "b\r\nX-C: d" } }, 'bad_argument', qr/header/);
	fails('... in its name', { url => url('/'), headers => { "X-A: b\r\nX-C" => 'd' } }, 'bad_argument', qr/header/);
	fails('two bodies', { url => url('/'), body => 'x', json => 1 }, 'bad_argument', qr/one of json, form, body/);
	fails('base64', { url => url('/'), body_base64 => '***' }, 'bad_argument', qr/base64/);
	fails('ok_status', { url => url('/'), ok_status => ['fine'] }, 'bad_argument', qr/ok_status/);
	fails('a method with a blank', { url => url('/'), method => "GET /x" }, 'bad_argument', qr/method/i);
	fails('a URL with a blank', { url => url('/a b') }, 'bad_url', qr/%20/);
	fails('a URL with a line break', { url => url("/a\r\nHost: x") }, 'bad_url', qr/./);
	fails('another scheme', { url => 'file:///etc/passwd' }, 'bad_url', qr/http:\/\//);
};

subtest 'what is kept' => sub {
	my $job = http_job({ url => url('/delay/0/10'), save => 'none' });
	is($job->{result}{status}, 200, 'save=none: the status');
	ok(!exists $job->{result}{headers} && !length($job->{body} // ''), '... and nothing more');
	$job = http_job({ url => url('/delay/0/10'), save => 'head' });
	is($job->{result}{headers}{'content-length'}, 10, 'save=head: the headers');
	ok(!length($job->{body} // ''), '... and no body');
	$job = http_job({ url => url('/delay/0/3000000'), save => 'head', max_body => '4MiB' });
	is($job->{state}, 'succeeded', '... however long it is');
	$job = http_job({ url => url('/delay/0/10') });
	is(length $job->{body}, 10, 'save=body: all');
	my (undef, $shown) = http_json($daemon->socket, 'GET', "/v1/jobs/$job->{id}");
	is($shown->{body}, $job->{body}, 'shown again');
	is(http($daemon->socket, 'GET', "/v1/jobs/$job->{id}/result")->{body}, $job->{body}, 'and as it is');

	my $gzip = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($head) = Gather::WebServer::read_request($socket);
			my $text = $head =~ m{^GET /bomb} ? "\0" x 4_000_000 : 'unpacked';
			gzip(\$text, \my $packed);
			Gather::WebServer::answer($socket, 200, $packed, 'Content-Encoding: gzip');
		}
	);
	is(http_job({ url => $gzip->url })->{body}, 'unpacked', 'gzip is unpacked');
	fails('a gzip bomb', { url => $gzip->url('/bomb') }, 'body_too_large', qr/1048576|1 ?MiB/);
};

subtest 'a connection that is kept open' => sub {
	my $quiet = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			Gather::WebServer::read_request($socket);
			$self->note('asked');
			# Nothing comes until the peer closes.
			sysread $socket, my $byte, 1;
			$self->note('closed');
		}
	);
	my (undef, $job) = http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'http', args => { url => $quiet->url } });
	ok(poll_until(sub { join(' ', $quiet->notes) eq 'asked' }), 'it waits for its answer');
	is((http_json($daemon->socket, 'POST', "/v1/jobs/$job->{id}/cancel"))[0], 200, 'cancelled');
	ok(poll_until(sub { join(' ', $quiet->notes) eq 'asked closed' }), 'the connection is closed');
	(undef, $job) = http_json($daemon->socket, 'GET', "/v1/jobs/$job->{id}?wait=10s");
	is($job->{state}, 'cancelled', 'and the job cancelled');
	http_job({ url => $quiet->url }, timeout => '50ms');
	ok(poll_until(sub { join(' ', $quiet->notes) eq 'asked closed asked closed' }), 'a timeout closes it, too');
};

is($daemon->stop, 0, 'the daemon stops');
done_testing;
