# The HTTP door: every verb, every refusal.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json raw_http);
use JSON::PP ();
use Test::More;

my $daemon = Gather::Daemon->new(workers => 2, 'http.allow' => ['*'])->start;
my $socket = $daemon->socket;
my $never = '01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70';

sub finished {
	my ($id) = @_;
	my (undef, $job) = http_json($socket, 'GET', "/v1/jobs/$id?wait=20s");
	return $job;
}

subtest 'health and readiness' => sub {
	is(http($socket, 'GET', '/healthz')->{status}, 200, 'healthz answers');
	ok(poll_until(sub { http($socket, 'GET', '/readyz')->{status} == 200 }), 'a worker registers');
	my (undef, $stats) = http_json($socket, 'GET', '/v1/stats');
	is($stats->{jobs}{running}, 0, 'nothing runs yet');
	my (undef, $workers) = http_json($socket, 'GET', '/v1/workers');
	is(scalar @{ $workers->{workers} }, 2, 'both workers are listed');
};

subtest 'one job' => sub {
	my ($status, $job) = http_json($socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 0.05 } });
	is($status, 201, 'accepted');
	is($job->{durability}, 'fsync', 'and how it is kept is said');
	like($job->{id}, qr/^[0-9a-f]{8}-[0-9a-f]{4}-7/, 'its id is a UUID of version 7');
	my $done = finished($job->{id});
	is($done->{state}, 'succeeded', 'it ends well');
	is($done->{attempts}, 1, 'with one attempt');
	cmp_ok($done->{elapsed_ms}, '>=', 50, 'that took its time');

	($status, $job) = http_json($socket, 'POST', '/v1/jobs?wait=10s', { type => 'noop' });
	is($status, 200, '?wait answers when it has ended');
	is($job->{state}, 'succeeded', 'with the job');
	($status, $job) = http_json($socket, 'POST', '/v1/jobs?wait=100ms', { type => 'sleep', args => { seconds => 30 } });
	is($status, 202, '... or at the time limit');
	is($job->{state}, 'running', 'as it is then');
	($status) = http_json($socket, 'POST', "/v1/jobs/$job->{id}/cancel");
	is($status, 200, 'cancel is taken');
	is(finished($job->{id})->{state}, 'cancelled', 'and ends it');
};

subtest 'batches' => sub {
	my ($status, $answers) = http_json($socket, 'POST', '/v1/jobs',
		[ { type => 'noop' }, { type => 'nope' }, { type => 'sleep', args => { seconds => -1 } } ]);
	is($status, 200, 'an array is answered as an array');
	ok($answers->[0]{id}, 'the good one has an id');
	is($answers->[1]{error}{code}, 'unknown_type', 'the unknown one its error');
	is($answers->[2]{error}{field}, 'args.seconds', 'the wrong argument is named');
	my $lines = http($socket, 'POST', '/v1/jobs', qq({"type":"noop"}\n{"type":\n{"type":"noop"}\n),
		'Content-Type' => 'application/x-ndjson');
	my @lines = split /\n/, $lines->{body};
	is(scalar @lines, 3, 'NDJSON is answered line by line');
	like($lines[1], qr/bad_json/, 'a broken line by an error in its place');
};

subtest 'the handler as an endpoint' => sub {
	my $answer = http($socket, 'POST', '/v1/run/hash', '{"text":"abc"}', 'Content-Type' => 'application/json');
	is($answer->{status}, 200, 'run answers with the result');
	like($answer->{body}, qr/ba7816bf8f01cfea/, 'which is the digest of "abc"');
	is(http($socket, 'POST', '/v1/run/sleep?timeout=50ms', '{"seconds":10}')->{status}, 504, 'a timeout is a 504');
	is(http($socket, 'POST', '/v1/run/nope', '{}')->{status}, 404, 'an unknown type a 404');
};

subtest 'lists' => sub {
	my ($status, $page) = http_json($socket, 'GET', '/v1/jobs?limit=2');
	is(scalar @{ $page->{jobs} }, 2, 'limit limits');
	my (undef, $next) = http_json($socket, 'GET', "/v1/jobs?limit=2&cursor=$page->{cursor}");
	isnt($next->{jobs}[0]{id}, $page->{jobs}[0]{id}, 'the cursor goes on');
	(undef, $page) = http_json($socket, 'GET', '/v1/jobs?state=cancelled');
	ok((!grep { $_->{state} ne 'cancelled' } @{ $page->{jobs} }) && @{ $page->{jobs} }, 'state filters');
	($status, $page) = http_json($socket, 'GET', '/v1/jobs?state=sleepy');
	is($status, 400, 'a state that there is not is refused');
	like($page->{detail}, qr/takes ready, running/, 'with those that there are');
};

subtest 'a parameter that is not known is refused' => sub {
	for (['GET', '/v1/jobs', 'stat=failed', 'stat'], ['GET', '/v1/jobs', 'limit=2&wait=1s', 'wait'], ['GET', '/v1/stats', 'a=b', 'a'],
		['GET', '/v1/groups', 'stat=x', 'stat'], ['POST', '/v1/run/noop', 'timeot=5s', 'timeot'], ['GET', '/v1/jobs', 'sta%74e=failed', 'sta%74e']) {
		my ($method, $path, $query, $name) = @$_;
		my ($status, $problem) = http_json($socket, $method, "$path?$query", $method eq 'POST' ? {} : ());
		is_deeply([ $status, @$problem{qw(code field)} ], [ 400, 'unknown_parameter', $name ], "$method $path?$query");
		like($problem->{detail}, qr/unknown parameter "\Q$name\E": $method \S+ takes (none|.*\b(limit|wait))/, 'with those that are known');
	}
	my ($status, $problem) = http_json($socket, 'GET', '/v1/jobs?state');
	is_deeply([ $status, $problem->{code} ], [ 400, 'bad_parameter' ], 'one without a value');
	is(http($socket, 'GET', '/v1/jobs?&limit=1&')->{status}, 200, 'nothing between two signs is nothing');
	is(http($socket, 'GET', '/healthz?probe=1')->{status}, 200, 'who asks whether it lives may say what he likes');
};

subtest 'what is wrong is named' => sub {
	my @cases = (
		[ {}, 422, 'type', qr/type is missing/ ],
		[ { type => 'nope' }, 422, 'type', qr/unknown job type "nope": known are/ ],
		[ { type => 'http' }, 422, 'args.url', qr/url/ ],
		[ { type => 'http', args => { url => 5 } }, 422, 'args.url', qr/url/ ],
		[ { type => 'http', args => { url => 'http://x/', lol => 1 } }, 422, 'args.lol', qr/lol/ ],
		[ { type => 'noop', priority => 101 }, 422, 'priority', qr/-100.*100/ ],
		[ { type => 'noop', timeout => '-1s' }, 422, 'timeout', qr/timeout/ ],
		[ { type => 'noop', timeout => 1e300 }, 422, 'timeout', qr/timeout/ ],
		[ { type => 'noop', retries => { max => -1 } }, 422, 'retries.max', qr/max/ ],
		[ { type => 'noop', retries => 'many' }, 422, 'retries', qr/number/ ],
		[ { type => 'noop', queue => '../x' }, 422, 'queue', qr/letters/ ],
		[ { type => 'noop', durability => 'stone' }, 422, 'durability', qr/memory/ ],
		[ { type => 'noop', colour => 'red' }, 422, 'colour', qr/unknown field "colour"/ ],
		[ { type => [] }, 422, 'type', qr/type/ ],
		[ { type => 'noop', args => [] }, 422, 'args', qr/args/ ],
	);
	for my $case (@cases) {
		my ($data, $status, $field, $text) = @$case;
		my ($got, $problem) = http_json($socket, 'POST', '/v1/jobs', $data);
		my $name = JSON::PP->new->canonical->encode($data);
		is($got, $status, "$name: status");
		is($problem->{field}, $field, "$name: field");
		like($problem->{detail}, $text, "$name: message");
	}
	for my $json ('', '{', '[' x 100000, '{"type":"noop","type":"noop"}', '"x"', '{"type":"noop"} x', "{\"type\":\"\xff\"}",
		'{"type":"noop","timeout":1e999}', "\xef\xbb\xbf{}", '{"type":"no\u0000op"}', 'NaN')
	{
		my $answer = http($socket, 'POST', '/v1/jobs', $json, 'Content-Type' => 'application/json');
		like($answer->{status}, qr/^4(00|22)$/, 'refused: ' . substr($json, 0, 30));
	}
};

subtest 'ids' => sub {
	my ($status, $problem) = http_json($socket, 'GET', '/v1/jobs/nonsense');
	is($status, 400, 'not an id');
	($status, $problem) = http_json($socket, 'GET', "/v1/jobs/$never");
	like($status, qr/^4(04|10)$/, 'an id that was never given out');
	my (undef, $job) = http_json($socket, 'POST', '/v1/jobs?wait=10s', { type => 'noop' });
	is((http_json($socket, 'POST', "/v1/jobs/$job->{id}/cancel"))[0], 409, 'what has succeeded can not be cancelled');
	is((http_json($socket, 'POST', "/v1/jobs/$job->{id}/retry"))[0], 409, 'nor retried');
};

subtest 'failed jobs' => sub {
	my (undef, $job) = http_json($socket, 'POST', '/v1/jobs?wait=20s',
		{ type => 'sleep', args => { seconds => 20 }, timeout => '50ms', retries => 0 });
	is($job->{state}, 'failed', 'out of time');
	is($job->{error}{code}, 'timeout', 'and says so');
	is((http_json($socket, 'GET', "/v1/jobs/$job->{id}/result"))[0], 409, 'it has no result');
	is((http_json($socket, 'POST', "/v1/jobs/$job->{id}/retry"))[0], 200, 'it can be retried by hand');
	is(finished($job->{id})->{state}, 'failed', 'and fails again');
	my (undef, $why) = http_json($socket, 'GET', "/v1/jobs/$job->{id}/why");
	like($why->{why}, qr/finished: failed/, 'why says that it has finished');
};

subtest 'HTTP itself' => sub {
	is(http($socket, 'GET', '/nope')->{status}, 404, 'no such path');
	is(http($socket, 'DELETE', '/v1/jobs')->{status}, 405, 'a method that the path does not take');
	is(http($socket, 'POST', '/v1/jobs', 'x', 'Content-Type' => 'text/html')->{status}, 415, 'another content type');
	is(http($socket, 'POST', '/v1/jobs', '{"type":"noop","args":{"x":"' . 'y' x (2 << 20) . '"}}')->{status},
		413, '2 MiB of JSON are too many');
	my $host = "Host: localhost\r\n";
	my @broken = (
		[ 'two lengths', "POST /v1/jobs HTTP/1.1\r\n${host}Content-Length: 2\r\nContent-Length: 2\r\n\r\n{}" ],
		[ 'length and chunks', "POST /v1/jobs HTTP/1.1\r\n${host}Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" ],
		[ 'two hosts', "GET /healthz HTTP/1.1\r\n${host}Host: other\r\n\r\n" ],
		[ 'no host', "GET /healthz HTTP/1.1\r\n\r\n" ],
		[ 'another encoding', "POST /v1/jobs HTTP/1.1\r\n${host}Transfer-Encoding: gzip\r\n\r\n" ],
	);
	for my $case (@broken) {
		like(raw_http($socket, $case->[1], 10), qr{^HTTP/1.1 400|^$}, "$case->[0]: refused");
	}
	is(http($socket, 'GET', '/healthz')->{status}, 200, 'the daemon serves on');
};

$daemon->stop;
done_testing;
