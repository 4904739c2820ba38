# Schedules: jobs handed in at their times, each once, whatever dies meanwhile.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Cli;
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Lines;
use JSON::PP ();
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

my ($true, $false) = (JSON::PP::true, JSON::PP::false);

sub ask {
	my ($daemon, $method, $target, $data) = @_;
	return http_json($daemon->socket, $method, $target, $data);
}

sub put {
	my ($daemon, $name, $definition) = @_;
	return ask($daemon, 'PUT', "/v1/schedules/$name", $definition);
}

sub schedule {
	my ($daemon, $name) = @_;
	return (ask($daemon, 'GET', "/v1/schedules/$name"))[1];
}

# The jobs of a tag, oldest first.
sub jobs {
	my ($daemon, $tag) = @_;
	my (undef, $page) = ask($daemon, 'GET', "/v1/jobs?tag=$tag&limit=1000");
	my @jobs = reverse @{ $page->{jobs} // [] };
	return @jobs;
}

sub job { return { type => 'noop', tags => [ $_[0] ] } }

subtest 'a schedule is defined, shown, changed and removed' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;
	my ($status, $s) = put($daemon, 'nightly',
		{ schedule => { cron => '0 3 * * mon-fri', tz => 'Europe/Berlin' }, job => job('a') });

	is($status, 201, 'a new one is created');
	is($s->{name}, 'nightly', 'it has its name');
	is_deeply($s->{schedule}, { cron => '0 3 * * mon-fri', tz => 'Europe/Berlin' }, 'its times');
	is($s->{job}{type}, 'noop', 'its job');
	is($s->{missed}, 'skip', 'what is missed is skipped unless told otherwise');
	is($s->{paused}, $false, 'it goes');
	like($s->{next_at}, qr/^\d{4}-\d\d-\d\dT0[12]:00:00\.000Z$/, 'it is due at three in Berlin');
	ok(!exists $s->{last_at}, 'it has not run');

	($status, $s) = put($daemon, 'nightly', { schedule => { every => '1.5h' }, job => job('a'), missed => 'once' });
	is($status, 200, 'defined anew');
	is_deeply($s->{schedule}, { every => '90m' }, 'with other times');
	is($s->{missed}, 'once', 'and what was asked for');
	my $due = $s->{next_at};
	(undef, $s) = put($daemon, 'nightly', { schedule => { every => '90m' }, job => job('b') });
	is($s->{next_at}, $due, 'with the same times it goes on where it was');

	put($daemon, 'another', { schedule => { cron => '@hourly' }, job => job('a') });
	my (undef, $list) = ask($daemon, 'GET', '/v1/schedules');
	is_deeply([ map { $_->{name} } @{ $list->{schedules} } ], [qw(another nightly)], 'the list is in order');
	is($list->{cursor}, undef, 'and complete');
	is($list->{schedules}[0]{type}, 'noop', 'a row names the type');
	(undef, $list) = ask($daemon, 'GET', '/v1/schedules?limit=1');
	is($list->{cursor}, 'another', 'a page has a cursor');
	(undef, $list) = ask($daemon, 'GET', '/v1/schedules?cursor=another');
	is_deeply([ map { $_->{name} } @{ $list->{schedules} } ], ['nightly'], 'and goes on there');

	is((ask($daemon, 'DELETE', '/v1/schedules/nightly'))[0], 200, 'removed');
	is((ask($daemon, 'GET', '/v1/schedules/nightly'))[0], 404, 'it is gone');
	is((ask($daemon, 'DELETE', '/v1/schedules/nightly'))[0], 404, 'and cannot go again');
	$daemon->stop;
};

subtest 'mistakes are named' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;
	my %good = (schedule => { every => '1h' }, job => { type => 'noop' });
	my @cases = (
		[ { %good, schedule => { cron => '61 * * * *' } }, 'schedule.cron', qr/minute 61: takes 0-59/ ],
		[ { %good, schedule => { cron => '0 0 30 2 *' } }, 'schedule.cron', qr/never comes/ ],
		[ { %good, schedule => { cron => '0 0 * *' } }, 'schedule.cron', qr/five fields/ ],
		[ { %good, schedule => { cron => '@daily', tz => 'Europe/Berlni' } }, 'schedule.tz', qr/no time zone "Europe\/Berlni"/ ],
		[ { %good, schedule => { cron => '@daily', tz => '../../etc/passwd' } }, 'schedule.tz', qr/takes the name/ ],
		[ { %good, schedule => { every => '1h', tz => 'UTC' } }, 'schedule.tz', qr/elapsed time/ ],
		[ { %good, schedule => { every => '1h', cron => '@daily' } }, 'schedule', qr/either/ ],
		[ { %good, schedule => {} }, 'schedule', qr/either/ ],
		[ { %good, schedule => { every => '10ms' } }, 'schedule.every', qr/from 1 to/ ],
		[ { %good, schedule => { each => '1h' } }, 'schedule.each', qr/known are cron tz every/ ],
		[ { %good, missed => 'twice' }, 'missed', qr/skip, once/ ],
		[ { %good, colour => 'red' }, 'colour', qr/known are schedule job missed paused/ ],
		[ { schedule => { every => '1h' } }, 'job', qr/job is missing/ ],
		[ { job => { type => 'noop' } }, 'schedule', qr/schedule is missing/ ],
		[ { %good, job => { type => 'nope' } }, 'type', qr/unknown job type/ ],
		[ { %good, job => { type => 'sleep', args => { seconds => 'x' } } }, 'args.seconds', qr/takes/ ],
		[ { %good, job => { type => 'noop', idempotency_key => 'k' } }, 'idempotency_key', qr/its own/ ],
	);
	for my $case (@cases) {
		my ($definition, $field, $message) = @$case;
		my ($status, $problem) = put($daemon, 'x', $definition);
		is($status, 422, "$field: refused");
		is($problem->{field}, $field, "$field: named");
		like($problem->{detail}, $message, "$field: says what is wrong");
	}
	is((put($daemon, '.x', \%good))[0], 422, 'a bad name');
	is((http($daemon->socket, 'PUT', '/v1/schedules/x', '{', 'Content-Type' => 'application/json'))->{status}, 400,
		'half a definition');
	is_deeply((ask($daemon, 'GET', '/v1/schedules'))[1]{schedules}, [], 'nothing came of it');
	my ($status, $problem) = ask($daemon, 'POST', '/v1/jobs', { type => 'noop', schedule => { every => '1h' } });
	is($status, 422, 'a job takes no schedule');
	like($problem->{detail}, qr{/v1/schedules/}, 'and says where it goes');
	$daemon->stop;
};

subtest 'every so often' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;
	my $start = time;

	put($daemon, 'pulse', { schedule => { every => '1s' }, job => job('pulse') });
	ok(poll_until(sub { jobs($daemon, 'pulse') >= 3 }), 'its jobs come');
	my $elapsed = time - $start;
	cmp_ok($elapsed, '>', 2.5, 'not all at once');
	cmp_ok($elapsed, '<', 5, 'but in time');
	my $s = schedule($daemon, 'pulse');
	my ($last) = (jobs($daemon, 'pulse'))[-1];
	cmp_ok($s->{runs}, '>=', 3, 'they are counted');
	ok((grep { $_->{id} eq $s->{last_job} } jobs($daemon, 'pulse')), 'the last one is named');
	my (undef, $job) = ask($daemon, 'GET', "/v1/jobs/$s->{last_job}?wait=10s");
	is($job->{state}, 'succeeded', 'it runs');
	is($job->{durability}, 'fsync', 'and is safe');
	like($job->{idempotency_key}, qr{^schedule/pulse/\d{4}-}, 'under a key of its own');
	$daemon->stop;
};

subtest 'a cron time of this very minute' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;
	# The next minute comes within 60 s.
	put($daemon, 'minutely', { schedule => { cron => '* * * * *' }, job => job('cron') });
	my $due = schedule($daemon, 'minutely')->{next_at};
	like($due, qr/:00\.000Z$/, 'is due at a whole minute');
	ok(poll_until(sub { jobs($daemon, 'cron') == 1 }, 65), 'it comes');
	my $s = schedule($daemon, 'minutely');
	is($s->{last_at}, $due, 'at its time');
	my (undef, $job) = ask($daemon, 'GET', "/v1/jobs/$s->{last_job}");
	is($job->{idempotency_key}, 'schedule/minutely/' . $due =~ s/\.000Z/Z/r, 'which its key names');
	$daemon->stop;
};

subtest 'pause, resume, run now' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;

	put($daemon, 'p', { schedule => { every => '1s' }, job => job('p'), paused => $true });
	ok(!exists schedule($daemon, 'p')->{next_at}, 'one that rests is not due');
	my ($status, $ack) = ask($daemon, 'POST', '/v1/schedules/p/run');
	cmp_ok($status, '<', 300, 'it can be run all the same');
	like($ack->{id}, qr/^[0-9a-f-]{36}$/, 'the answer is the acknowledgement of its job');
	is(schedule($daemon, 'p')->{last_job}, $ack->{id}, 'which it remembers');
	my (undef, $job) = ask($daemon, 'POST', '/v1/schedules/p/run?wait=10s');
	is($job->{state}, 'succeeded', 'its end can be waited for');
	is(scalar jobs($daemon, 'p'), 2, 'nothing else was run');
	my (undef, $s) = ask($daemon, 'POST', '/v1/schedules/p/resume');
	ok($s->{next_at}, 'it is due when it goes on');
	ok(poll_until(sub { jobs($daemon, 'p') >= 3 }), 'and runs');
	(undef, $s) = ask($daemon, 'POST', '/v1/schedules/p/pause');
	is($s->{paused}, $true, 'it rests again');
	(undef, $s) = put($daemon, 'p', { schedule => { every => '1s' }, job => job('p') });
	is($s->{paused}, $true, 'and a new definition does not wake it');
	is((ask($daemon, 'POST', '/v1/schedules/none/run'))[0], 404, 'an unknown one cannot run');
	$daemon->stop;
};

subtest 'schedules outlive the daemon, and each firing is one job' => sub {
	my $daemon = Gather::Daemon->new(workers => 1, broker_restarts => 1000)->start;

	put($daemon, 'kept', { schedule => { every => '1s' }, job => job('kept'), missed => 'once' });
	put($daemon, 'far', { schedule => { cron => '0 0 1 1 *', tz => 'Asia/Kathmandu' }, job => job('far'), paused => $true });
	my $before = schedule($daemon, 'far');
	ok(poll_until(sub { jobs($daemon, 'kept') >= 1 }), 'it runs');
	for (1 .. 5) {
		my $count = jobs($daemon, 'kept');
		my ($pid) = $daemon->role_pids('broker');
		kill KILL => $pid;
		ok(poll_until(sub { my ($p) = $daemon->role_pids('broker'); $p && $p != $pid && $daemon->connect }), 'the broker is back');
		ok(poll_until(sub { eval { jobs($daemon, 'kept') > $count } }), 'and goes on');
	}
	my %keys;
	for my $row (jobs($daemon, 'kept')) {
		my (undef, $job) = ask($daemon, 'GET', "/v1/jobs/$row->{id}");
		$keys{ $job->{idempotency_key} }++;
	}
	is((grep { $_ > 1 } values %keys), 0, 'no firing became two jobs');
	is_deeply(schedule($daemon, 'far'), $before, 'one that rests is as it was');
	my $runs = schedule($daemon, 'kept')->{runs};
	is($runs, scalar jobs($daemon, 'kept'), 'all are counted');
	is($daemon->stop, 0, 'it stops');
	$daemon->start;
	is((put($daemon, 'far', { schedule => { every => '1h' }, job => job('far') }))[0], 200, 'all are there after a stop');
	is((ask($daemon, 'DELETE', '/v1/schedules/kept'))[0], 200, 'one is removed');
	$daemon->kill9;
	$daemon->start;
	is((ask($daemon, 'GET', '/v1/schedules/kept'))[0], 404, 'and stays away');
	$daemon->stop;
};

subtest 'what was missed is skipped, or made good once' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;

	put($daemon, $_, { schedule => { every => '2s' }, job => job($_), missed => $_ }) for qw(skip once);
	my %before = map { $_ => scalar jobs($daemon, $_) } qw(skip once);
	is($daemon->stop, 0, 'the daemon rests');
	my $stopped = time;
	poll_until(sub { time - $stopped > 5 });
	$daemon->start;
	ok(poll_until(sub { jobs($daemon, 'once') == $before{once} + 1 }, 1.5), 'once: made good at the start');
	my $s = schedule($daemon, 'once');
	is(scalar jobs($daemon, 'skip'), $before{skip}, 'skip: passed over')
		or diag explain [ jobs($daemon, 'skip') ];
	ok(poll_until(sub { jobs($daemon, 'skip') == $before{skip} + 1 }), 'skip: goes on at its next time');
	cmp_ok(scalar jobs($daemon, 'once'), '<=', $before{once} + 2, 'once: no more than once');
	$daemon->stop;
};

subtest 'a job that is refused for now is handed in again' => sub {
	my $daemon = Gather::Daemon->new(workers => 1, max_jobs => 1)->start;
	my (undef, $blocker) = ask($daemon, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 60 }, timeout => '2m' });

	put($daemon, 'full', { schedule => { every => '1s' }, job => job('full') });
	ok(poll_until(sub { schedule($daemon, 'full')->{last_error} }), 'there is no room');
	is(schedule($daemon, 'full')->{last_error}{code}, 'too_many_jobs', 'it says so');
	is(scalar jobs($daemon, 'full'), 0, 'nothing was run');
	ask($daemon, 'POST', "/v1/jobs/$blocker->{id}/cancel");
	ok(poll_until(sub { jobs($daemon, 'full') >= 1 }), 'with room it runs');
	ok(poll_until(sub { !schedule($daemon, 'full')->{last_error} }), 'and the error is history');
	$daemon->stop;
};

subtest 'without a store they live as long as the broker' => sub {
	my $daemon = Gather::Daemon->new(workers => 1, store => 'none')->start;

	is((put($daemon, 'memory', { schedule => { every => '1s' }, job => job('memory') }))[0], 201, 'one is defined');
	ok(poll_until(sub { jobs($daemon, 'memory') >= 2 }), 'it runs');
	is((jobs($daemon, 'memory'))[0]{durability}, 'memory', 'in memory');
	is((put($daemon, 'x', { schedule => { every => '1h' }, job => { type => 'noop', durability => 'fsync' } }))[0], 422,
		'nothing that needs a store is taken');
	is((ask($daemon, 'DELETE', '/v1/schedules/memory'))[0], 200, 'it is removed');
	$daemon->stop;
};

subtest 'by lines and by the command' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;
	my $lines = Gather::Lines->new($daemon->socket);
	my $cli = Gather::Cli->new(socket => $daemon->socket);

	my $s = $lines->ask({ op => 'schedule_set', id => 'line', schedule => { every => '1h' }, job => job('line'), tag => 5 });
	is($s->{name}, 'line', 'a line defines one');
	is($s->{tag}, 5, 'its tag is echoed');
	is($lines->ask({ op => 'schedule_set', id => 'bad', schedule => { every => 'x' }, job => job('line') })->{error}{field},
		'schedule.every', 'or says what is wrong');
	is(scalar @{ $lines->ask({ op => 'schedules' })->{schedules} }, 1, 'they are listed');
	is($lines->ask({ op => 'schedule', id => 'line' })->{job}{type}, 'noop', 'shown');
	ok($lines->ask({ op => 'schedule_run', id => 'line' })->{id}, 'run');
	ok($lines->ask({ op => 'schedule_pause', id => 'line' })->{paused}, 'paused');
	ok(!$lines->ask({ op => 'schedule_resume', id => 'line' })->{paused}, 'resumed');
	ok($lines->ask({ op => 'schedule_rm', id => 'line' })->{removed}, 'removed');

	my $did = $cli->run(qw(schedule set report --cron), '*/5 * * * *', qw(--tz Europe/Berlin --retries 2 sleep seconds=0.01));
	is($did->{status}, 0, 'set') or diag $did->{err};
	like($did->{out}, qr/^report next \d{4}-/, 'says when it is due');
	my (undef, $report) = ask($daemon, 'GET', '/v1/schedules/report');
	is_deeply($report->{job}, { type => 'sleep', args => { seconds => 0.01 }, retries => 2 }, 'its job is as it was given');
	$did = $cli->run(qw(schedule set pulse --every 30s --missed once --paused noop));
	like($did->{out}, qr/^pulse paused$/, 'set, resting');
	$did = $cli->run('schedules');
	like($did->{out}, qr/^SCHEDULE .*^pulse +every 30s +noop .*paused.*^report +\*\/5 \* \* \* \* Europe\/Berlin +sleep /ms, 'the list');
	is($cli->run(qw(schedules -o id))->{out}, "pulse\nreport\n", 'their names');
	$did = $cli->run(qw(schedule run report));
	like($did->{out}, qr/^[0-9a-f-]{36}$/, 'run prints the id');
	is($cli->run(qw(schedule resume pulse))->{status}, 0, 'resume');
	like($cli->run(qw(schedule show pulse))->{out}, qr/"missed": "once"/, 'show');
	is($cli->run(qw(schedule rm pulse report))->{out}, "pulse removed\nreport removed\n", 'rm');
	$did = $cli->run(qw(schedule rm pulse));
	is($did->{status}, 1, 'one that is not there');
	like($did->{err}, qr/no schedule "pulse"/, 'says so');
	$did = $cli->run(qw(schedule set x --cron), '61 * * * *', 'noop');
	is($did->{status}, 2, 'a mistake');
	like($did->{err}, qr/minute 61: takes 0-59/, 'is named');
	is($cli->run(qw(schedule set x noop))->{status}, 2, 'without times');
	is($cli->run(qw(schedule dance x))->{status}, 2, 'an unknown word');
	$daemon->stop;
};

done_testing;
