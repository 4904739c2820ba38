# Limits: overload is said, never a drop; few descriptors are enough, or are asked for.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd ();
use Gather::Cli qw(from_json);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json raw_http);
use Gather::Lines;
use Gather::Records qw(submit);
use File::Temp ();
use JSON::PP ();
use Test::More;

# gatherd under `ulimit -n`, both limits.
sub limited {
	my ($files, %options) = @_;
	my $wrapper = File::Temp->new(TEMPLATE => 'gather-XXXXXXXX', TMPDIR => 1);
	printf $wrapper "#!/bin/sh\nulimit -S -n %d && ulimit -H -n %d || exit 99\nexec %s \"\$@\"\n", $files, $files,
		Cwd::abs_path(Gather::Daemon::build() . '/bin/gatherd');
	close $wrapper;
	chmod 0755, $wrapper->filename;
	my $daemon = Gather::Daemon->new(program => $wrapper->filename, %options);
	$daemon->{wrapper} = $wrapper;
	return $daemon;
}

subtest 'max_jobs' => sub {
	my $daemon = Gather::Daemon->new(workers => 1, max_jobs => 3)->start;
	my $socket = $daemon->socket;
	my $body = '{"type":"sleep","args":{"seconds":60}}';
	my @ids = map { (http_json($socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 60 } }))[1]{id} } 1 .. 3;
	is(scalar(grep { defined } @ids), 3, 'three are accepted');
	my $answer = http($socket, 'POST', '/v1/jobs', $body, 'Content-Type' => 'application/json');
	is($answer->{status}, 429, 'the fourth: 429');
	like($answer->{headers}{'retry-after'}, qr/^[1-9]\d*$/, '... with Retry-After');
	like($answer->{headers}{'content-type'}, qr{^application/problem\+json}, '... as a problem');
	my $problem = from_json($answer->{body});
	like($problem->{detail}, qr/max_jobs|3/, '... that says what is full');
	is(http($socket, 'POST', '/v1/run/noop', '{}')->{status}, 429, 'run, too');
	my (undef, $answers) = http_json($socket, 'POST', '/v1/jobs', [ { type => 'noop' }, { type => 'nope' } ]);
	is($answers->[0]{error}{status}, 429, 'in an array, in its place');
	is(Gather::Lines->new($socket)->ask({ type => 'noop' })->{error}{status}, 429, 'by lines');
	my $records = Gather::Records->new($socket);
	$records->send(submit(1, 'noop', '{}'));
	my $refused = $records->next;
	is("$refused->{kind} $refused->{status}", 'REFUSED 429', 'by records');
	cmp_ok($refused->{retry_after_ms}, '>', 0, '... with a time to wait');

	http_json($socket, 'POST', "/v1/jobs/$ids[0]/cancel");
	ok(poll_until(sub { (http_json($socket, 'POST', '/v1/jobs', { type => 'noop' }))[0] == 201 }), 'one ends: there is room');
	$daemon->conf(max_jobs => 10)->signal('HUP');
	ok(
		poll_until(
			sub {
				my ($status) = http_json($socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 60 } });
				return $status == 429 && (http_json($socket, 'GET', '/v1/stats'))[1]{jobs}{running} == 10;
			}
		),
		'a reload makes room for ten'
	);
	# Those that were accepted are all there.
	is((http_json($socket, 'GET', '/v1/stats'))[1]{totals}{evicted}, 0, 'nothing was dropped');
	$daemon->kill9;
};

subtest 'max_connections' => sub {
	my $daemon = Gather::Daemon->new(workers => 1, max_connections => 20)->start;
	my $lines = Gather::Lines->new($daemon->socket);
	is($lines->ask({ op => 'stats' })->{epoch}, 1, 'one is in');
	my @idle = map { Gather::Http::connect_to($daemon->socket) } 1 .. 30;
	my $answer;
	ok(poll_until(sub { $answer = raw_http($daemon->socket, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", 5); $answer =~ / 503 / }),
		'who comes then is told');
	like($answer, qr/^Retry-After: \d+\r$/m, '... when to come back');
	like($answer, qr/max_connections/, '... and what is full');
	is($lines->ask({ type => 'noop', wait => JSON::PP::true })->{state}, 'succeeded', 'those who are in are served');
	my $did = Gather::Cli->new(socket => $daemon->socket)->run(qw(run noop));
	is($did->{status}, 6, 'the command line: status 6') or diag(explain($did));
	like($did->{err}, qr/as many clients as it takes \(max_connections\): try again/, '... and why');
	close $_ for @idle;
	ok(poll_until(sub { http($daemon->socket, 'GET', '/healthz')->{status} == 200 }), 'they leave: there is room');
	is($daemon->stop, 0, 'it stops');
};

subtest 'few descriptors' => sub {
	for my $files (16, 32, 64, 128, 256) {
		my $daemon = limited($files, workers => 1);
		$daemon->launch;
		my $ready = $daemon->wait_ready;
		if (!$ready) {
			my $status = $daemon->wait_exit;
			isnt($status, undef, "$files: it refuses to start") or next;
			like($status, qr/^[1-9]\d*$/, "$files: ... by itself");
			like($daemon->log_text, qr/descriptors|open files|RLIMIT_NOFILE|LimitNOFILE/, "$files: ... and says what it needs");
			cmp_ok($files, '<', 256, "$files: ... which is not too much to ask");
			next;
		}
		my $broker = ($daemon->role_pids('broker'))[0];
		my $lines = Gather::Lines->new($daemon->socket);
		is($lines->ask({ type => 'noop', wait => JSON::PP::true })->{state}, 'succeeded', "$files: it works");
		# More clients than there are descriptors.
		my @crowd = grep { defined } map { $daemon->connect } 1 .. $files + 50;
		is($lines->ask({ type => 'noop', wait => JSON::PP::true })->{state}, 'succeeded', "$files: ... with a crowd at the door");
		is(($daemon->role_pids('broker'))[0], $broker, "$files: ... that harms nobody");
		close $_ for @crowd;
		ok(poll_until(sub { http($daemon->socket, 'GET', '/healthz')->{status} == 200 }), "$files: ... and then goes on");
		is($daemon->stop, 0, "$files: it stops");
		$daemon->log_unlike(qr/died of/, "$files: nothing died");
	}
};

subtest 'a worker with few descriptors for its jobs' => sub {
	require Gather::WebServer;
	my $web = Gather::WebServer->new;
	my $daemon = limited(256, workers => 1, 'http.allow' => ['127.0.0.1'])->start;
	$daemon->log_like(qr/256 descriptors suffice for \d+ net jobs at once.*raise LimitNOFILE or ulimit -Hn/,
		'it says what it can do');
	my $cli = Gather::Cli->new(socket => $daemon->socket);
	my $did = $cli->run('fetch', '-j', 500, '-o', 'jsonl', $web->url('/delay/100/10?[1-500]'));
	my @objects = Gather::Cli::json_lines($did->{out});
	is(scalar @objects, 500, 'five hundred fetches at once: each is answered');
	my %codes;
	$codes{ $_->{error} ? $_->{error}{code} : 'ok' }++ for @objects;
	note(join ', ', map { "$codes{$_} $_" } sort keys %codes);
	is($codes{ok}, 500, 'by its result: they take turns');
	is($cli->run('fetch', $web->url())->{status}, 0, 'and it works on');
	$daemon->log_unlike(qr/died of|gives no sign/, 'nothing died');
	is($daemon->stop, 0, 'it stops');
};

done_testing;
