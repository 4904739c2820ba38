# Nothing that was accepted is lost: what survives which death, and what the store answers afterwards.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Fcntl qw(LOCK_EX);
use Gather::Cli;
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Ledger;
use Gather::Lines;
use Gather::Records qw(submit WANT_ACCEPTED WANT_RESULT);
use JSON::PP ();
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my $trouble = abs_path(Gather::Daemon::build()) . '/tests/workers/trouble.so';

sub daemon { return Gather::Daemon->new(workers => 1, @_)->start }

sub post { return http_json($_[0]->socket, 'POST', '/v1/jobs' . ($_[2] // ''), $_[1]) }
sub get  { return http_json($_[0]->socket, 'GET', $_[1]) }

sub job {
	my ($daemon, $id) = @_;
	return (get($daemon, "/v1/jobs/$id"))[1];
}

sub finished {
	my ($daemon, $id) = @_;
	return (get($daemon, "/v1/jobs/$id?wait=20s"))[1];
}

sub serves {
	my ($daemon) = @_;
	return poll_until(sub { http($daemon->socket, 'GET', '/readyz')->{status} == 200 });
}

sub in { return strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + $_[0])) }

subtest 'kill -9 of everything' => sub {
	my $daemon = daemon();
	my %id;
	for my $durability (qw(memory write fsync)) {
		my ($status, $ack) =
			post($daemon, { type => 'sleep', args => { seconds => 0.5 }, durability => $durability });
		is($status, 201, "$durability: accepted");
		is($ack->{durability}, $durability, '... as asked for');
		$id{$durability} = $ack->{id};
	}
	my (undef, $done) = post($daemon, { type => 'hash', args => { text => 'abc' }, durability => 'fsync' }, '?wait=10s');
	is($done->{state}, 'succeeded', 'another one has finished before');
	$daemon->kill9;
	$daemon->start;
	is(finished($daemon, $id{$_})->{state}, 'succeeded', "$_: survives") for qw(write fsync);
	my ($status, $lost) = get($daemon, "/v1/jobs/$id{memory}");
	is($status, 410, 'memory: does not');
	is($lost->{code}, 'lost', 'and that is said');
	is_deeply(job($daemon, $done->{id}), $done, 'what had finished is shown as before');
	is(http($daemon->socket, 'GET', "/v1/jobs/$done->{id}/result")->{status}, 200, 'with its result');
	$daemon->stop;
};

subtest 'kill -9 of the broker' => sub {
	my $daemon = daemon('capacity.light' => 1);
	my (undef, $running) = post($daemon, { type => 'sleep', args => { seconds => 1.5 } });
	my (undef, $waiting) = post($daemon, { type => 'sleep', args => { seconds => 0.1 } });
	poll_until(sub { job($daemon, $running->{id})->{state} eq 'running' });
	kill KILL => ($daemon->role_pids('broker'))[0];
	ok(serves($daemon), 'another one serves');
	is(job($daemon, $running->{id})->{state}, 'running', 'what runs goes on');
	my $job = finished($daemon, $running->{id});
	is($job->{state}, 'succeeded', 'and ends');
	is($job->{attempts}, 1, 'as the attempt that it was');
	is(finished($daemon, $waiting->{id})->{state}, 'succeeded', 'what waited comes after it');
	$daemon->stop;
};

subtest 'kill -9 of a worker' => sub {
	my $daemon = daemon();
	my (undef, $job) = post($daemon, { type => 'sleep', args => { seconds => 1 } });
	poll_until(sub { job($daemon, $job->{id})->{state} eq 'running' });
	kill KILL => $daemon->worker_pid(0);
	$job = finished($daemon, $job->{id});
	is($job->{state}, 'succeeded', 'its job runs again');
	cmp_ok($job->{attempts}, '>=', 2, 'as another attempt');
	my (undef, $history) = get($daemon, "/v1/jobs/$job->{id}/attempts");
	is($history->{attempts}[0]{outcome}, 'lost', 'the first is told as lost');
	is($history->{attempts}[-1]{outcome}, 'succeeded', 'the last as what it was');
	$daemon->kill9;
	$daemon->start;
	is_deeply((get($daemon, "/v1/jobs/$job->{id}/attempts"))[1], $history, 'also after a restart');
	$daemon->stop;
};

subtest 'idempotency keys' => sub {
	my $daemon = daemon();
	my %job = (type => 'sleep', args => { seconds => 0.01 }, idempotency_key => 'order-42');
	my ($status, $first) = post($daemon, \%job);
	is($status, 201, 'the first is accepted');
	my ($again, $second) = post($daemon, \%job);
	is($again, 200, 'the second is known');
	is($second->{id}, $first->{id}, 'by the same id');
	ok($second->{duplicate}, 'and said to be a duplicate');
	my ($other, $problem) = post($daemon, { %job, args => { seconds => 0.02 } });
	is($other, 409, 'another payload is refused');
	is($problem->{code}, 'key_reused', 'for that reason');
	is($problem->{field}, 'idempotency_key', 'naming the field');
	finished($daemon, $first->{id});
	$daemon->kill9;
	$daemon->start;
	($status, $second) = post($daemon, \%job);
	is($status, 200, 'after a restart it is known by the store');
	is($second->{id}, $first->{id}, 'with the same id');
	is((post($daemon, { %job, priority => 1 }))[0], 409, 'and another payload is refused');
	($status, $second) = post($daemon, \%job, '?wait=10s');
	is($second->{id}, $first->{id}, 'who waits gets the result of the first');
	is($second->{state}, 'succeeded', 'as it ended');
	my (undef, $many) = post($daemon, [ \%job, { %job, priority => 2 }, { type => 'noop' }, { %job, idempotency_key => 'x' } ]);
	is($many->[0]{id}, $first->{id}, 'in an array: a duplicate');
	is($many->[1]{error}{code}, 'key_reused', '... a refusal');
	ok($many->[$_]{id}, '... and accepted ones') for 2, 3;
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send({ %job, tag => 1.10 }, { %job, priority => 3, tag => 'b' }, { type => 'noop', durability => 'memory', tag => 3 },
		{ type => 'nope', tag => 4 }, { op => 'stats', tag => 5 }, { %job, wait => JSON::PP::true, tag => 6 });
	my @answers = map { $lines->next } 1 .. 6;
	is_deeply([ map { $_->{tag} } @answers ], [ 1.1, 'b', 3, 4, 5, 6 ], 'on lines: answers come in order');
	is($answers[0]{id}, $first->{id}, '... a duplicate');
	is($answers[1]{error}{code}, 'key_reused', '... a refusal');
	is($answers[5]{id}, $first->{id}, '... and the result of the first');
	is($answers[5]{state}, 'succeeded', '... which succeeded');
	my $records = Gather::Records->new($daemon->socket);
	my $options = JSON::PP->new->canonical->encode({ idempotency_key => 'order-42' });
	$records->send(submit(1, 'sleep', '{"seconds": 0.01}', options => $options, flags => WANT_ACCEPTED | WANT_RESULT));
	my ($accepted, $ended) = ($records->next, $records->next);
	is($accepted->{kind}, 'ACCEPTED', 'as records: accepted');
	is($accepted->{id}, $first->{id}, '... as the first');
	is($ended->{kind}, 'FINISHED', '... finished');
	is($ended->{state}, 'succeeded', '... as it had');
	$records->send(submit(2, 'sleep', '{"seconds": 0.03}', options => $options, flags => 0));
	is($records->next->{code}, 'key_reused', '... refused, whatever was asked for');
	$daemon->stop;
};

subtest 'one unfinished job of its kind' => sub {
	my $daemon = daemon();
	my %job = (type => 'sleep', args => { seconds => 20 }, unique => JSON::PP::true);
	my (undef, $first) = post($daemon, \%job);
	my ($status, $second) = post($daemon, \%job);
	is($status, 200, 'the second is not accepted');
	is($second->{id}, $first->{id}, 'but is the first');
	isnt((post($daemon, { %job, args => { seconds => 21 } }))[1]{id}, $first->{id}, 'other arguments make another');
	$daemon->kill9;
	$daemon->start;
	is((post($daemon, { %job, args => { seconds => 20 } }))[1]{id}, $first->{id}, 'also after a restart');
	http_json($daemon->socket, 'POST', "/v1/jobs/$first->{id}/cancel");
	finished($daemon, $first->{id});
	my (undef, $third) = post($daemon, \%job);
	isnt($third->{id}, $first->{id}, 'when it has finished, there may be another');
	my ($refused, $problem) = http_json($daemon->socket, 'POST', "/v1/jobs/$first->{id}/retry");
	is($refused, 409, 'then the first can not come back');
	is($problem->{code}, 'not_unique', 'for that reason');
	$daemon->kill9;
};

subtest 'times' => sub {
	my $daemon = daemon();
	my (undef, $delayed) = post($daemon, { type => 'noop', delay => '1500ms' });
	my (undef, $at) = post($daemon, { type => 'noop', run_at => in(2) });
	my (undef, $past) = post($daemon, { type => 'noop', run_at => '1970-01-01T00:00:00Z' }, '?wait=10s');
	is($past->{state}, 'succeeded', 'a run_at that has passed is now');
	is(job($daemon, $delayed->{id})->{state}, 'scheduled', 'a delayed job is scheduled');
	is(job($daemon, $at->{id})->{state}, 'scheduled', 'so is one for later');
	like(job($daemon, $at->{id})->{due_at}, qr/^20\d\d-/, 'when is shown');
	my (undef, $never) = post($daemon, { type => 'noop', run_at => '9999-12-31T23:59:59Z' });
	my (undef, $late) = post($daemon, { type => 'sleep', args => { seconds => 30 }, deadline => '1s' });
	my (undef, $never_starts) = post($daemon, { type => 'noop', delay => 30, deadline => in(1) });
	$daemon->kill9;
	$daemon->start;
	is(job($daemon, $delayed->{id})->{state}, 'scheduled', 'after a restart as well');
	my $start = time;
	is(finished($daemon, $delayed->{id})->{state}, 'succeeded', 'then it runs');
	is(finished($daemon, $at->{id})->{state}, 'succeeded', 'and so does the other');
	is(finished($daemon, $late->{id})->{state}, 'expired', 'a deadline ends what runs');
	is(finished($daemon, $never_starts->{id})->{state}, 'expired', 'and what has not begun');
	is(job($daemon, $never->{id})->{state}, 'scheduled', 'the year 9999 is far away');
	http_json($daemon->socket, 'POST', '/v1/queues/default/pause', {});
	is((http_json($daemon->socket, 'POST', "/v1/jobs/$never_starts->{id}/retry", {}))[0], 200, 'one that expired is retried');
	$daemon->kill9;
	$daemon->start;
	is(job($daemon, $never_starts->{id})->{state}, 'ready', 'without its deadline, also after a restart');
	http_json($daemon->socket, 'POST', '/v1/queues/default/resume', {});
	is(finished($daemon, $never_starts->{id})->{state}, 'succeeded', 'and runs');
	for my $wrong (
		[ { run_at => 'tomorrow' }, 'run_at' ],
		[ { run_at => '1969-12-31T23:59:59Z' }, 'run_at' ],
		[ { run_at => '2026-02-30T00:00:00Z' }, 'run_at' ],
		[ { run_at => in(9), delay => 1 }, 'run_at' ],
		[ { delay => -1 }, 'delay' ],
		[ { delay => '9223372036854775807' }, 'delay' ],
		[ { deadline => 'soon' }, 'deadline' ],
		[ { deadline => 0 }, 'deadline' ],
		[ { tags => [ map { "t$_" } 1 .. 17 ] }, 'tags' ],
		[ { tags => ["a\nb"] }, 'tags' ],
		[ { tags => ['x' x 65] }, 'tags' ],
		[ { idempotency_key => 'x' x 256 }, 'idempotency_key' ],
		[ { idempotency_key => '' }, 'idempotency_key' ],
		[ { unique => { by => ['colour'] } }, 'unique' ],
		[ { unique => { until => 'noon' } }, 'unique' ],
		[ { at_most_once => JSON::PP::true, retries => 1 }, 'at_most_once' ],
		[ { at_most_once => JSON::PP::true, durability => 'memory' }, 'at_most_once' ],
		[ { traceparent => '00-0-0-00' }, 'traceparent' ],
		[ { limit_key => "a\tb" }, 'limit_key' ],
		[ { failed_ttl => -1 }, 'failed_ttl' ],
		)
	{
		my ($status, $problem) = post($daemon, { type => 'noop', %{ $wrong->[0] } });
		my $name = JSON::PP->new->canonical->encode($wrong->[0]);
		is($status, 422, "$name is refused");
		is($problem->{field}, $wrong->[1], '... naming the field');
		like($problem->{detail}, qr/takes|exclude/, '... and what it takes');
	}
	$daemon->stop;
};

subtest 'at most once' => sub {
	my $daemon = daemon();
	my (undef, $job) = post($daemon, { type => 'sleep', args => { seconds => 20 }, at_most_once => JSON::PP::true });
	is($job->{durability}, 'fsync', 'it is kept');
	poll_until(sub { job($daemon, $job->{id})->{state} eq 'running' });
	$daemon->kill9;
	$daemon->start;
	$job = finished($daemon, $job->{id});
	is($job->{state}, 'failed', 'what was lost with its worker does not run again');
	is($job->{error}{code}, 'outcome_unknown', 'and says why');
	is($job->{attempts}, 1, 'after one attempt');
	$daemon->stop;
};

subtest 'lists over memory and store' => sub {
	my $daemon = daemon();
	my @ids;
	for my $n (1 .. 12) {
		my (undef, $job) = post($daemon,
			{ type => 'noop', queue => $n % 2 ? 'odd' : 'even', tags => [ "n$n", 'all' ], durability => 'fsync' }, '?wait=10s');
		unshift @ids, $job->{id};
		next if $n != 8;
		$daemon->kill9;
		$daemon->start;
	}
	unshift @ids, (post($daemon, { type => 'sleep', args => { seconds => 60 }, tags => ['all'], queue => 'odd' }))[1]{id};
	my (@seen, $cursor);
	do {
		my (undef, $page) = get($daemon, '/v1/jobs?limit=5' . ($cursor ? "&cursor=$cursor" : ''));
		push @seen, map { $_->{id} } @{ $page->{jobs} };
		cmp_ok(scalar @{ $page->{jobs} }, '<=', 5, 'a page is no longer than asked for');
		$cursor = $page->{cursor};
	} while $cursor && @seen < 100;
	is_deeply(\@seen, \@ids, 'the newest first, each once');
	my $list = sub { [ map { $_->{id} } @{ (get($daemon, "/v1/jobs?$_[0]"))[1]{jobs} } ] };
	is_deeply($list->('queue=even'), [ @ids[ map { 2 * $_ - 1 } 1 .. 6 ] ], 'by queue');
	is_deeply($list->('tag=n3'), [ $ids[10] ], 'by tag, from the store');
	is_deeply($list->('tag=n11'), [ $ids[2] ], 'by tag, from memory');
	is_deeply($list->('state=running,ready'), [ $ids[0] ], 'by several states');
	is(scalar @{ $list->('state=succeeded&limit=100') }, 12, 'by one');
	is(scalar @{ $list->('since=1h&type=noop') }, 12, 'by time and type');
	is(scalar @{ $list->('since=' . in(60)) }, 0, 'nothing is of the future');
	is((get($daemon, '/v1/jobs?since=yesterday'))[0], 400, 'a wrong time is refused');
	is((get($daemon, '/v1/jobs?cursor=-1'))[0], 400, 'and a wrong cursor');
	$daemon->kill9;
};

sub bulk {
	my ($daemon, $action, %filter) = @_;
	return http_json($daemon->socket, 'POST', '/v1/bulk', { action => $action, filter => \%filter });
}

subtest 'many at once' => sub {
	my $daemon = daemon(plugins => [$trouble]);
	my @jobs = map { { type => 'fail_retry', args => { times => 1000 }, queue => 'bad', tags => ["t$_"], durability => 'fsync', retries => 0 } } 1 .. 30;
	my (undef, $acks) = post($daemon, \@jobs);
	finished($daemon, $_->{id}) for @$acks;
	$daemon->kill9;
	$daemon->start;
	my (undef, $more) = post($daemon, [ @jobs[0 .. 4] ]);
	finished($daemon, $_->{id}) for @$more;
	post($daemon, [ map { { type => 'sleep', args => { seconds => 60 }, queue => 'slow' } } 1 .. 20 ]);
	my ($status, $did) = bulk($daemon, 'retry', queue => 'bad', since => '1h');
	is($status, 200, 'retry is answered');
	is($did->{done}, 35, 'failed ones are tried again, from memory and from the store');
	is(finished($daemon, $acks->[0]{id})->{attempts}, 2, 'really');
	finished($daemon, $_->{id}) for @$acks, @$more;
	(undef, $did) = bulk($daemon, 'cancel', queue => 'slow');
	is($did->{done}, 20, 'cancel');
	(undef, $did) = bulk($daemon, 'purge', queue => 'bad', tag => 't1');
	is($did->{done}, 2, 'purge');
	is((get($daemon, "/v1/jobs/$acks->[0]{id}"))[0], 404, 'they are gone');
	is((get($daemon, "/v1/jobs/$acks->[1]{id}"))[0], 200, 'others are not');
	for my $wrong ([ 'dance', state => 'failed' ], ['purge'], [ 'purge', colour => 'red' ], [ 'cancel', state => 'failed' ]) {
		is((bulk($daemon, @$wrong))[0], 422, "refused: @$wrong");
	}
	$daemon->stop;
};

subtest 'more than may wait for a commit, on one connection' => sub {
	my $daemon = daemon();
	my $lines = Gather::Lines->new($daemon->socket);
	my $count = 20_000;
	$lines->send_raw(join '', map { qq({"type":"noop","delay":"1h","durability":"write","tag":$_}\n) } 1 .. $count);
	my @tags = map { my $answer = $lines->next; $answer && $answer->{id} ? $answer->{tag} : () } 1 .. $count;
	is(scalar @tags, $count, 'all are accepted');
	is_deeply(\@tags, [ 1 .. $count ], 'and answered in order');
	$daemon->kill9;
};

subtest 'large arguments' => sub {
	my $daemon = daemon('capacity.cpu' => 1, 'store.inline_bytes' => '1KiB');
	my $text = 'abc' x 100_000;
	my (undef, $ack) = post($daemon, { type => 'hash', args => { text => $text }, delay => '500ms' });
	ok(poll_until(sub { (get($daemon, '/v1/stats'))[1]{args_bytes} < 1000 }), 'are not in memory while the job waits');
	is(job($daemon, $ack->{id})->{args}{text}, $text, 'are shown all the same');
	my $job = finished($daemon, $ack->{id});
	is($job->{state}, 'succeeded', 'and are there when it runs');
	my (undef, $plain) = post($daemon, { type => 'hash', args => { text => $text }, durability => 'memory' }, '?wait=10s');
	is_deeply($job->{result}, $plain->{result}, 'whole');
	(undef, $ack) = post($daemon, { type => 'hash', args => { text => $text }, delay => '1s' });
	$daemon->kill9;
	$daemon->start;
	is_deeply(finished($daemon, $ack->{id})->{result}, $plain->{result}, 'also after a restart');
	$daemon->stop;
};

subtest 'a job type that is no more' => sub {
	my $daemon = daemon(plugins => [$trouble]);
	my (undef, $job) = post($daemon, { type => 'fail_retry', delay => '30s' });
	$daemon->stop;
	$daemon->conf(plugins => undef)->start;
	my $failed = job($daemon, $job->{id});
	is($failed->{state}, 'failed', 'its job fails');
	is($failed->{error}{code}, 'unknown_type', 'and says why');
	is((http_json($daemon->socket, 'POST', "/v1/jobs/$job->{id}/retry"))[0], 409, 'it can not be retried');
	$daemon->stop;
	$daemon->conf(plugins => [$trouble])->start;
	is((http_json($daemon->socket, 'POST', "/v1/jobs/$job->{id}/retry"))[0], 200, 'until there is such a type again');
	$daemon->stop;
};

subtest 'a backup' => sub {
	my $daemon = daemon();
	my (undef, $done) = post($daemon, { type => 'hash', args => { text => 'abc' }, durability => 'fsync' }, '?wait=10s');
	my (undef, $waiting) = post($daemon, { type => 'noop', delay => '1h' });
	my $cli = Gather::Cli->new(socket => $daemon->socket);
	my $file = $daemon->dir . '/copy.db';
	my $did = $cli->run('backup', $file);
	is($did->{status}, 0, 'is made') or diag $did->{err};
	isnt($cli->run('backup', $file)->{status}, 0, 'nothing is overwritten');
	is(qx(sqlite3 '$file' 'pragma integrity_check'), "ok\n", 'sqlite3 reads it');
	is_deeply([ glob $daemon->dir . '/state/backup-*' ], [], 'nothing of it stays behind');
	$daemon->stop;

	my $other = Gather::Daemon->new(workers => 1);
	my $store = $other->dir . '/state/store';
	mkdir $_ for $other->dir . '/state', $store;
	system 'cp', $file, "$store/store.db";
	$other->start;
	is_deeply(job($other, $done->{id}), $done, 'another daemon goes on from it: what had finished');
	is(job($other, $waiting->{id})->{state}, 'scheduled', 'and what waits');
	$other->stop;
};

subtest 'by the command' => sub {
	my $daemon = daemon(plugins => [$trouble]);
	my $cli = Gather::Cli->new(socket => $daemon->socket);
	my $did = $cli->run(qw(submit noop --tag a --tag b --delay 1h --priority 3 --deadline 2h -o json));
	is($did->{status}, 0, 'submit') or diag $did->{err};
	is(Gather::Cli::from_json($did->{out})->{durability}, 'fsync', '... keeps its job');
	my $id = Gather::Cli::from_json($did->{out})->{id};
	is_deeply(job($daemon, $id)->{tags}, [ 'a', 'b' ], '... with tags');
	like(job($daemon, $id)->{deadline_at}, qr/^20/, '... and a deadline');
	is($cli->run(qw(ls --tag b --since 1h -o id))->{out}, "$id\n", 'ls finds it by them');
	$did = $cli->run(qw(submit noop --idempotency-key k1 -o id));
	is($cli->run(qw(submit noop --idempotency-key k1 -o id))->{out}, $did->{out}, 'the same key, the same job');
	is($cli->run(qw(submit noop --priority 1 --idempotency-key k1))->{status}, 1, '... or none');
	is($cli->run(qw(run noop --durability fsync))->{status}, 0, 'run waits for a durable one');
	is($cli->run(qw(run sleep seconds=20 --deadline 300ms))->{status}, 1, 'a deadline ends it');
	is($cli->run(qw(run fail_retry times:=9 --at-most-once))->{status}, 1, 'one that is never run twice fails');
	my $failed = $cli->run(qw(ls --state failed -o id))->{out};
	chomp $failed;
	like($cli->run('attempts', $failed)->{out}, qr/^ +1 +failed .*not_yet/m, 'attempts shows how');
	like($cli->run(qw(retry --type fail_retry))->{out}, qr/^retry: 1 of 1 jobs$/m, 'retry by a filter');
	finished($daemon, $failed);
	like($cli->run(qw(cancel --tag a))->{out}, qr/^cancel: 1 of 1 jobs$/m, 'cancel by a filter');
	is($cli->run(qw(cancel))->{status}, 2, '... but not all that there are');
	for my $name ('', 'b' x 100) {
		$did = $cli->run('purge', '--tag', $name);
		is($did->{status}, 2, '... nor for a name that is empty or too long');
		like($did->{err}, qr/tag takes 1 to \d+ bytes, not \d+/, '... which it says');
	}
	is($cli->run('purge', '--state', '')->{status}, 2, '... or no state');
	is_deeply((get($daemon, '/v1/jobs?tag=%00'))[1]{jobs}, [], 'a NUL is no way to an empty name');
	like($cli->run('purge', '--state', 'cancelled,failed')->{out}, qr/^purge: 2 of 2 jobs$/m, 'purge');
	is($cli->run('show', $id)->{status}, 1, '... forgets');
	like($cli->run(qw(--local run noop --durability fsync))->{err}, qr/keeps jobs in memory/, 'a private daemon keeps nothing');
	$daemon->stop;
};

subtest 'a store that can not be trusted' => sub {
	my $damaged = daemon();
	post($damaged, [ map { { type => 'noop', delay => '1h', tags => ['canary'] } } 1 .. 50 ]);
	$damaged->stop;
	my $db = $damaged->dir . '/state/store/store.db';
	open my $file, '+<:raw', $db or die "$db: $!";
	my $content = do { local $/; <$file> };
	$content =~ s/canary/canarY/g;
	seek $file, 0, 0;
	print $file $content;
	close $file;
	$damaged->launch;
	is($damaged->wait_exit, 78, 'changed bytes: it does not start');
	$damaged->log_like(qr/store\.db.*damage|damaged|corrupt/i, 'and says what is wrong');

	my $newer = daemon();
	$newer->stop;
	system 'sqlite3', $newer->dir . '/state/store/store.db', 'pragma user_version = 999';
	$newer->launch;
	is($newer->wait_exit, 78, 'of a newer version: it does not start');
	$newer->log_like(qr/version|newer/, 'and says so');
};

subtest 'a store that can not be' => sub {
	my $daemon = daemon();
	$daemon->stop;
	my $store = $daemon->dir . '/state/store';
	rename $store, "$store.away" or die "$store: $!";
	symlink '/dev/null', $store or die "$store: $!";
	$daemon->launch;
	is($daemon->wait_exit, 78, 'it does not start, and need not be tried again');
	$daemon->log_like(qr/store: Not a directory/, 'and says why');
};

subtest 'two daemons on one directory' => sub {
	my $first = daemon();
	my $second = Gather::Daemon->new(workers => 1, state_dir => $first->dir . '/state');
	$second->launch;
	is($second->wait_exit, 78, 'the second does not start');
	$second->log_like(qr/in use by another gatherd/, 'and says why');
	is((post($first, { type => 'noop', durability => 'fsync' }, '?wait=10s'))[1]{state}, 'succeeded', 'the first goes on');
	$first->stop;
};

subtest 'a broker that takes its time to die' => sub {
	my $daemon = daemon();
	my (undef, $job) = post($daemon, { type => 'noop', delay => '1h' });
	$daemon->stop;
	open my $lock, '+<', $daemon->dir . '/state/store/store.lock' or die "lock: $!";
	flock $lock, LOCK_EX or die "flock: $!";
	$daemon->launch;
	poll_until(sub { $daemon->role_pids('broker') });
	my ($broker) = $daemon->role_pids('broker');
	my $still = time + 0.5;
	poll_until(sub { time > $still || !kill 0 => $broker });
	ok(kill(0 => $broker), 'its successor waits');
	close $lock;
	$daemon->wait_ready;
	is(job($daemon, $job->{id})->{state}, 'scheduled', 'and then begins');
	$daemon->stop;
};

subtest 'a full disk' => sub {
	plan skip_all => 'needs root, for a small file system' if $> != 0;
	my $daemon = Gather::Daemon->new(workers => 1);
	my $state = $daemon->dir . '/state';
	mkdir $state;
	plan skip_all => 'no tmpfs here' if system("mount -t tmpfs -o size=80m,mode=0700 tmpfs '$state' 2>/dev/null") != 0;
	# A job's end writes its arguments anew: the reserve has room for the log of all of them.
	$daemon->conf('store.reserve_bytes' => '40MiB', 'store.inline_bytes' => 0)->start;
	my (undef, $running) = post($daemon, { type => 'sleep', args => { seconds => 2 } });
	my ($status, $answer);
	my $text = 'x' x 900_000;
	for my $n (1 .. 60) {
		($status, $answer) = post($daemon, { type => 'hash', args => { text => "$n$text" }, delay => '1h' });
		last if $status != 201;
	}
	is($status, 503, 'durable jobs are refused');
	is($answer->{code}, 'store_full', 'for that reason');
	is($answer->{retry_after_ms}, 10000, 'with a time to wait');
	(undef, $answer) = post($daemon, { type => 'noop', durability => 'fsync' }, '?wait=10s');
	is($answer->{code}, 'store_full', 'who waits for a result is told so, too');
	is((post($daemon, { type => 'noop', durability => 'memory' }, '?wait=10s'))[1]{state}, 'succeeded', 'others run');
	my $jobs = { schedule => { every => '1h' }, job => { type => 'noop' } };
	is((http_json($daemon->socket, 'PUT', '/v1/schedules/hourly', $jobs))[0], 201, 'a schedule is kept on the reserve');
	is((http_json($daemon->socket, 'POST', '/v1/schedules/hourly/run', {}))[1]{code}, 'store_full', 'but its job has to wait');
	is(finished($daemon, $running->{id})->{state}, 'succeeded', 'what runs can finish');
	$daemon->kill9;
	$daemon->start;
	is(job($daemon, $running->{id})->{state}, 'succeeded', 'and that is kept');
	$daemon->kill9;
	system "dd if=/dev/zero of='$state/others' bs=4k 2>/dev/null";
	$daemon->start;
	is(job($daemon, $running->{id})->{state}, 'succeeded', 'it starts where others have taken all that was free');
	unlink "$state/others";
	bulk($daemon, 'cancel', state => 'scheduled');
	bulk($daemon, 'purge', state => 'cancelled');
	ok(poll_until(sub { (post($daemon, { type => 'noop' }))[0] == 201 }), 'with room again, jobs are accepted again');
	$daemon->stop;
	system "umount '$state'";
};

subtest 'a sync that fails' => sub {
	my $shim = Gather::Ledger::shim();
	plan skip_all => "no $shim: it comes with check_programs" unless -e $shim;
	plan skip_all => 'a sanitizer wants to be loaded first' if qx(ldd @{[ Gather::Daemon::build() ]}/bin/gatherd) =~ /lib[at]san/;
	my $daemon = Gather::Daemon->new(workers => 1);
	$daemon->{env} = {
		LD_PRELOAD            => $shim,
		GATHER_TEST_DIRECTORY => $daemon->dir . '/state',
		GATHER_TEST_ONLY      => 'broker',
		GATHER_TEST_FAULT     => 'sync:40:EIO'
	};
	$daemon->start;
	my $lines = Gather::Lines->new($daemon->socket);
	my (@accepted, $answer);
	for my $n (1 .. 100) {
		$answer = $lines->ask({ type => 'noop', delay => '1h', idempotency_key => "key $n" }) or last;
		last if $answer->{error};
		push @accepted, $answer->{id};
	}
	is($answer->{error}{code}, 'unknown_outcome', 'whoever waits is told that nobody knows');
	cmp_ok(scalar @accepted, '>', 5, 'others were accepted before');
	$daemon->log_like(qr/the store failed: .*unknown/, 'the log says so');
	ok(serves($daemon), 'another broker starts from what is on the disk');
	is_deeply([ map { job($daemon, $_)->{state} } @accepted ], [ ('scheduled') x @accepted ], 'what was accepted is there');
	my ($status) = post($daemon, { type => 'noop', delay => '1h', idempotency_key => 'key ' . (@accepted + 1) });
	like($status, qr/^20[01]$/, 'and the other one can be submitted again');
	$daemon->kill9;
};

subtest 'without a store' => sub {
	my $daemon = daemon(store => 'none');
	my ($status, $problem) = post($daemon, { type => 'noop', durability => 'fsync' });
	is($status, 422, 'durable jobs are refused');
	is($problem->{code}, 'durability_unavailable', 'for that reason');
	is((post($daemon, { type => 'noop', at_most_once => JSON::PP::true }))[0], 422, 'and what needs them');
	is((post($daemon, { type => 'noop' }))[1]{durability}, 'memory', 'others are kept in memory');
	is((get($daemon, '/v1/backup'))[0], 409, 'there is nothing to copy');
	$daemon->stop;
};

done_testing;
