# Webhooks: a job's end is told, signed, once more if need be, and not lost when the broker dies.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA qw(hmac_sha256_base64);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http_json);
use Gather::WebServer;
use JSON::PP ();
use MIME::Base64 qw(decode_base64);
use Test::More;
use Time::HiRes qw(time);

my $secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw';
my $json = JSON::PP->new->utf8->canonical;

# Notes each call as JSON: path, headers in lower case, body. /STATUS/... is answered so the first time, 200 after it.
sub receiver {
	return Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($head, $body) = Gather::WebServer::read_request($socket);
			my ($method, $path) = $head =~ /^(\S+) (\S+)/;
			my %headers = map { /^([^:]+): (.*?)\r?$/ ? (lc $1, $2) : () } split /\n/, $head;
			my $seen = grep { $json->decode($_)->{path} eq $path } $self->notes;
			my $status = $path =~ m{^/(\d+)/} && !$seen ? $1 : 200;

			$self->note($json->encode({ method => $method, path => $path, headers => \%headers, body => $body, at => time }));
			Gather::WebServer::answer($socket, $status, 'ok');
		}
	);
}

sub calls {
	my ($web, $path) = @_;
	return grep { $_->{path} eq $path } map { $json->decode($_) } $web->notes;
}

sub daemon {
	my ($web, %options) = @_;
	my $daemon = Gather::Daemon->new(workers => 1, 'http.allow' => ['127.0.0.1'], %options);

	open my $out, '>', $daemon->dir . '/secret' or die $!;
	print $out "$secret\n";
	close $out;
	$daemon->conf('webhook.secret_file' => $daemon->dir . '/secret') unless exists $options{'webhook.secret_file'};
	return $daemon->start;
}

sub submit {
	my ($daemon, $job) = @_;
	my ($status, $answer) = http_json($daemon->socket, 'POST', '/v1/jobs', $job);
	return $answer;
}

# As a receiver checks it: the key's bytes over "id.timestamp.body".
sub is_signed {
	my ($call, $name) = @_;
	my $h = $call->{headers};
	my $key = decode_base64($secret =~ s/^whsec_//r);
	my $signature = hmac_sha256_base64("$h->{'webhook-id'}.$h->{'webhook-timestamp'}.$call->{body}", $key);

	$signature .= '=' while length($signature) % 4;
	return is($h->{'webhook-signature'}, "v1,$signature", $name);
}

my $web = receiver();

subtest 'the end of a job is told, and signed' => sub {
	my $daemon = daemon($web);
	my $job = submit($daemon, { type => 'noop', args => { echo => "gr\x{fc}n \"\x{1f30d}\"" }, webhook => $web->url('/done') });

	ok(poll_until(sub { calls($web, '/done') == 1 }), 'the call comes');
	my ($call) = calls($web, '/done');
	my $body = $json->decode($call->{body});
	is($call->{method}, 'POST', 'a POST');
	is($call->{headers}{'content-type'}, 'application/json', 'of JSON');
	is($body->{id}, $job->{id}, 'it names the job');
	is($body->{state}, 'succeeded', 'its state');
	is_deeply($body->{result}, { echo => "gr\x{fc}n \"\x{1f30d}\"" }, 'its result');
	like($call->{headers}{'webhook-id'}, qr/^\Q$job->{id}\E-\d+$/, 'the call has an id');
	cmp_ok(abs(time - $call->{headers}{'webhook-timestamp'}), '<', 30, 'and a time');
	is_signed($call, 'the signature is right');

	my (undef, $list) = http_json($daemon->socket, 'GET', '/v1/jobs?queue=webhooks');
	my (undef, $sent) = http_json($daemon->socket, 'GET', "/v1/jobs/$list->{jobs}[0]{id}?wait=10s");
	is($sent->{state}, 'succeeded', 'the call is a job of its own');
	is($sent->{durability}, 'fsync', 'as durable as the job');
	is($sent->{retries}{max}, 8, 'with retries');
	my $encoded = $json->encode($sent) . $daemon->log_text;
	unlike($encoded, qr/\Q$secret\E|MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw/, 'the secret is nowhere');
	unlike($encoded, qr/v1,/, 'nor is the signature: each try has its own');
	$daemon->stop;
};

subtest 'every end is told: failures, cancels, jobs in memory' => sub {
	my $daemon = daemon($web);

	submit($daemon, { type => 'http', args => { url => $web->url('/404/x') }, retries => 0, webhook => $web->url('/failed') });
	my $long = submit($daemon, { type => 'sleep', args => { seconds => 60 }, timeout => '2m', webhook => $web->url('/cancelled') });
	http_json($daemon->socket, 'POST', "/v1/jobs/$long->{id}/cancel");
	submit($daemon, { type => 'noop', durability => 'memory', webhook => $web->url('/memory') });
	ok(poll_until(sub { calls($web, $_) == 1 }), "$_ is told") for qw(/failed /cancelled /memory);
	for my $state (qw(failed cancelled)) {
		my ($call) = calls($web, "/$state");
		is($json->decode($call->{body})->{state}, $state, "as $state");
		is_signed($call, 'signed');
	}
	is($json->decode((calls($web, '/memory'))[0]{body})->{durability}, 'memory', 'one in memory');
	$daemon->stop;
};

subtest 'a receiver that is busy is called again' => sub {
	my $daemon = daemon($web);
	submit($daemon, { type => 'noop', webhook => $web->url('/503/again') });
	ok(poll_until(sub { calls($web, '/503/again') == 2 }), 'it is called again');
	my @calls = calls($web, '/503/again');
	cmp_ok($calls[1]{at} - $calls[0]{at}, '>', 1, 'after a while');
	is($calls[1]{headers}{'webhook-id'}, $calls[0]{headers}{'webhook-id'}, 'with the same id');
	is($calls[1]{body}, $calls[0]{body}, 'and the same body');
	cmp_ok($calls[1]{headers}{'webhook-timestamp'}, '>', $calls[0]{headers}{'webhook-timestamp'}, 'but a time of its own');
	is_signed($_, 'signed') for @calls;
	$daemon->stop;
};

subtest 'a large result is left out' => sub {
	my $daemon = daemon($web);
	my $big = Gather::WebServer->scripted(sub {
		my ($self, $socket) = @_;
		Gather::WebServer::read_request($socket);
		Gather::WebServer::answer($socket, 200, 'x' x 300_000);
	});
	submit($daemon, { type => 'http', args => { url => $big->url }, webhook => $web->url('/large') });
	submit($daemon, { type => 'http', args => { url => $web->url('/small') }, webhook => $web->url('/told') });
	ok(poll_until(sub { calls($web, '/large') == 1 }), 'the call comes');
	my $body = $json->decode((calls($web, '/large'))[0]{body});
	is($body->{state}, 'succeeded', 'it says how the job ended');
	is($body->{result}{status}, 200, 'and its metadata');
	ok(!exists $body->{body}, 'without the body');
	ok(poll_until(sub { calls($web, '/told') == 1 }), 'the other call comes');
	is($json->decode((calls($web, '/told'))[0]{body})->{body}, 'ok', 'a small body is sent along');
	$daemon->stop;
};

subtest 'the broker dies between the end and the call' => sub {
	# The receiver isn't there yet, so that the call is still under way.
	my $port = Gather::WebServer::dead_port();
	my $daemon = daemon($web, broker_restarts => 1000);
	my @jobs = map { submit($daemon, { type => 'noop', webhook => "http://127.0.0.1:$port/late/$_" }) } 1 .. 20;

	http_json($daemon->socket, 'GET', "/v1/jobs/$_->{id}?wait=10s") for @jobs;
	my ($pid) = $daemon->role_pids('broker');
	kill KILL => $pid;
	ok(poll_until(sub { my ($p) = $daemon->role_pids('broker'); $p && $p != $pid && $daemon->connect }), 'the broker is back');
	my (undef, $list) = http_json($daemon->socket, 'GET', '/v1/jobs?queue=webhooks&limit=100');
	is(scalar @{ $list->{jobs} }, 20, 'every call is still to be made');
	is((grep { $_->{state} !~ /^(retrying|running|ready)$/ } @{ $list->{jobs} }), 0, 'and will be');
	$daemon->stop;
};

subtest 'where calls may go' => sub {
	my $daemon = daemon($web, 'http.allow' => undef);
	submit($daemon, { type => 'noop', webhook => $web->url('/private') });
	my $call = poll_until(sub {
		my (undef, $list) = http_json($daemon->socket, 'GET', '/v1/jobs?queue=webhooks&state=failed');
		$list->{jobs}[0];
	});
	ok($call, 'a private address is refused');
	like($call->{error}{message}, qr/private|loopback|http\.allow/, 'for that reason');
	is(scalar calls($web, '/private'), 0, 'nothing was sent');
	my ($forged) = http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'http', webhook_call => JSON::PP::true,
		args => { url => $web->url('/forged'), body => 'x', headers => { 'webhook-id' => 'x' } } });
	is($forged, 422, "nobody else's job is signed");
	my ($refused) = http_json($daemon->socket, 'PUT', '/v1/schedules/forger',
		{ schedule => { every => '1s' }, job => { type => 'noop', webhook_call => JSON::PP::true } });
	is($refused, 422, 'nor by a schedule');
	for my $wrong ('ftp://example.com/', 'example.com', 'http://', "http://a b/", 7) {
		my ($status, $problem) = http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'noop', webhook => $wrong });
		is($status, 422, "$wrong is no webhook");
		is($problem->{field}, 'webhook', 'the field is named');
	}
	$daemon->stop;
};

subtest 'secrets' => sub {
	my $daemon = daemon($web, 'webhook.secret_file' => undef);
	submit($daemon, { type => 'noop', webhook => $web->url('/plain') });
	ok(poll_until(sub { calls($web, '/plain') == 1 }), 'without a secret the call comes');
	ok(!exists((calls($web, '/plain'))[0]{headers}{'webhook-signature'}), 'unsigned');
	ok((calls($web, '/plain'))[0]{headers}{'webhook-id'}, 'with its id');
	$daemon->stop;

	mkdir $daemon->dir . '/credentials';
	open my $out, '>', $daemon->dir . '/credentials/webhook' or die $!;
	print $out "whsec_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n$secret\n";
	close $out;
	$daemon->{env}{CREDENTIALS_DIRECTORY} = $daemon->dir . '/credentials';
	$daemon->start;
	submit($daemon, { type => 'noop', webhook => $web->url('/credential') });
	ok(poll_until(sub { calls($web, '/credential') == 1 }), 'with a credential the call comes');
	my ($call) = calls($web, '/credential');
	my @signatures = split / /, $call->{headers}{'webhook-signature'};
	is(scalar @signatures, 2, 'signed by both keys');
	$call->{headers}{'webhook-signature'} = $signatures[1];
	is_signed($call, 'the second is right');
	open $out, '>', $daemon->dir . '/credentials/webhook' or die $!;
	print $out "$secret\n";
	close $out;
	$daemon->signal('HUP');
	ok(poll_until(sub {
		my $path = '/reloaded/' . time;
		submit($daemon, { type => 'noop', webhook => $web->url($path) });
		poll_until(sub { calls($web, $path) == 1 }, 5) or return;
		($call) = calls($web, $path);
		return $call->{headers}{'webhook-signature'} !~ / /;
	}), 'after a reload one key signs');
	is_signed($call, 'the new one');
	$daemon->stop;

	open $out, '>', $daemon->dir . '/bad' or die $!;
	print $out "hush\n";
	close $out;
	$daemon->conf('webhook.secret_file' => $daemon->dir . '/bad');
	$daemon->launch;
	is($daemon->wait_exit, 78, 'a secret that is none: it does not start');
	$daemon->log_like(qr/webhook\.secret_file: .* takes lines of whsec_/, 'and says why');
	$daemon->log_unlike(qr/hush/, 'without telling the secret');
};

done_testing;
