# What dies takes nothing with it: workers, the broker, the supervisor, clients.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Lines;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $trouble = abs_path(Gather::Daemon::build() . '/tests/workers/trouble.so');
my %job = (wait => JSON::PP::true);

sub daemon {
	my (%options) = @_;
	return Gather::Daemon->new(plugins => [$trouble], workers => 2, %options)->start;
}

sub run_job {
	my ($daemon, $job, $limit) = @_;
	my ($status, $answer) = http_json($daemon->socket, 'POST', '/v1/jobs?wait=' . ($limit // '20s'), $job);
	return $answer;
}

sub stats {
	my ($daemon) = @_;
	return (http_json($daemon->socket, 'GET', '/v1/stats'))[1];
}

subtest 'kill -9 of a worker with a thousand jobs in flight' => sub {
	my $daemon = daemon();
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { %job, type => 'sleep', args => { seconds => 1 }, tag => $_ } } 1 .. 1000);
	ok(poll_until(sub { stats($daemon)->{jobs}{running} == 1000 }), 'they run');
	kill KILL => $daemon->worker_pid(0);
	my (%seen, %attempts);
	for (1 .. 1000) {
		my $answer = $lines->next(30) // last;
		$seen{ $answer->{tag} }++;
		$attempts{ $answer->{attempts} }++;
		is($answer->{state}, 'succeeded', "job $answer->{tag}") if $answer->{state} ne 'succeeded';
	}
	is(scalar keys %seen, 1000, 'all are finished');
	is((grep { $_ > 1 } values %seen), 0, 'each once');
	cmp_ok($attempts{2} // 0, '>', 100, 'those of the dead worker were run again');
	is(stats($daemon)->{totals}{crashes}, 0, 'and none of them is charged');
	$daemon->stop;
};

# Send bystanders that run for so long, wait until they do, and return a sub that tells how all of them ended.
sub bystanders {
	my ($daemon, $count, $seconds) = @_;
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { %job, type => 'echo', args => { text => "n$_", after => $seconds }, tag => $_ } } 1 .. $count);
	ok(poll_until(sub { stats($daemon)->{jobs}{running} >= $count }), "$count bystanders run");
	return sub {
		my (%states, %tags);
		for (1 .. $count) {
			my $answer = $lines->next(60) // { state => 'lost', tag => "lost $_" };
			$states{ $answer->{state} }++;
			$tags{ $answer->{tag} }++;
		}
		is_deeply(\%states, { succeeded => $count }, 'the bystanders all succeed');
		is(scalar keys %tags, $count, 'each once');
	};
}

sub sacrificial {
	my ($daemon) = @_;
	return grep { $_->{sacrificial} } @{ (http_json($daemon->socket, 'GET', '/v1/workers'))[1]{workers} };
}

subtest 'a job that crashes its worker' => sub {
	my $daemon = daemon(worker_restarts => 20);
	my $ended = bystanders($daemon, 500, 2);
	my $job = run_job($daemon, { type => 'crash', args => { how => 'segv' } });
	is($job->{state}, 'failed', 'it fails for good');
	is($job->{error}{code}, 'worker_crashed', 'says why');
	is($job->{error}{signal}, 'SIGSEGV', 'with the signal');
	like($job->{error}{message}, qr/while it ran this job alone, 4 times now/, 'after it ran alone');
	is($job->{attempts}, 4, 'for which it had crashed three times');
	$daemon->log_like(qr/sacrificial worker \(pid \d+\) died of SIGSEGV/, 'in the sacrificial worker');
	$ended->();
	$job = run_job($daemon, { type => 'crash', args => { how => 'abort', attempts => 3 } });
	is($job->{state}, 'succeeded', 'one that crashes no more when it is alone succeeds');
	is($job->{attempts}, 4, 'there');
	ok(poll_until(sub { !sacrificial($daemon) }), 'that worker is dismissed');
	ok(poll_until(sub { !grep { /--slot 4095/ } values %{ $daemon->processes } }), 'and goes');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'a job that has its worker killed' => sub {
	my $daemon = daemon(worker_restarts => 20);
	my $ended = bystanders($daemon, 200, 1);
	my (undef, $job) = http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'crash', args => { how => 'kill' } });
	ok(poll_until(sub { sacrificial($daemon) }), 'nobody knows which one it is: those that were there run apart');
	my $why = '';
	ok(poll_until(sub {
		(undef, my $answer) = http_json($daemon->socket, 'GET', "/v1/jobs/$job->{id}/why");
		$why = $answer->{why} // '';
		$why =~ /waits to run (alone|apart)|sacrificial/;
	}), 'the job tells of it') or diag $why;
	(undef, $job) = http_json($daemon->socket, 'GET', "/v1/jobs/$job->{id}?wait=30s");
	is($job->{state}, 'failed', 'it is found');
	is($job->{error}{signal}, 'SIGKILL', 'and fails with the signal');
	like($job->{error}{message}, qr/while it ran this job alone/, 'that came when it was alone');
	is(stats($daemon)->{totals}{crashes}, 0, 'nobody else is charged');
	$ended->();
	my $deaths = () = $daemon->log_text =~ /sacrificial worker \(pid \d+\) died of SIGKILL/g;
	cmp_ok($deaths, '>=', 5, 'by halves');
	cmp_ok($deaths, '<=', 9, 'and in no more deaths than that takes');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'the sacrificial worker outlives the broker' => sub {
	my $daemon = daemon(worker_restarts => 20);
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { %job, type => 'sleep', args => { seconds => 30 }, tag => $_ } } 1 .. 10);
	ok(poll_until(sub { stats($daemon)->{jobs}{running} == 10 }), 'jobs run');
	kill KILL => $daemon->worker_pid(0);
	ok(poll_until(sub { my ($w) = sacrificial($daemon); $w && $w->{running}{light} == 5 }), 'some of them run apart');
	my $pid = $daemon->worker_pid(4095);
	kill KILL => ($daemon->role_pids('broker'))[0];
	ok(poll_until(sub { http($daemon->socket, 'GET', '/readyz')->{status} == 200 }), 'another broker');
	ok(poll_until(sub { !kill 0 => $pid }), 'has no use for it');
	$daemon->log_unlike(qr/sacrificial worker \(pid $pid\) died/, 'and dismisses it');
	is(run_job($daemon, { type => 'noop' })->{state}, 'succeeded', 'all goes on');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'a job that wedges its worker' => sub {
	my $daemon = daemon('hang.warn' => '600ms', 'hang.abort' => '1200ms', 'hang.kill' => '2s');
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send({ %job, type => 'spin', tag => 'spin' });
	$lines->send(map { { %job, type => 'sleep', args => { seconds => 1 }, tag => $_ } } 1 .. 20);
	my %states;
	for (1 .. 21) {
		my $answer = $lines->next(60) // last;
		$states{ $answer->{tag} } = $answer;
	}
	is($states{spin}{state}, 'failed', 'the one that spins fails');
	is($states{spin}{error}{code}, 'worker_hung', 'as a hang');
	is($states{spin}{attempts}, 4, 'after it hung alone');
	is((grep { $_->{state} eq 'succeeded' } values %states), 20, 'the others succeed');
	$daemon->log_like(qr/no sign of life/, 'the log tells of the silence');
	$daemon->stop;
};

subtest 'a job that ignores its cancellation' => sub {
	my $daemon = daemon();
	my (undef, $job) = http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'ignore_cancel', args => { seconds => 60 } });
	ok(poll_until(sub { stats($daemon)->{jobs}{running} == 1 }), 'it runs');
	http_json($daemon->socket, 'POST', "/v1/jobs/$job->{id}/cancel");
	(undef, $job) = http_json($daemon->socket, 'GET', "/v1/jobs/$job->{id}?wait=20s");
	is($job->{state}, 'cancelled', 'is given up after ten seconds');
	$daemon->kill9;
};

subtest 'retries' => sub {
	my $daemon = daemon();
	my $job = run_job($daemon, { type => 'fail_retry', args => { times => 2 }, retries => { max => 3, initial => '10ms' } });
	is($job->{state}, 'succeeded', 'in the end it succeeds');
	is($job->{attempts}, 3, 'at the third attempt');
	$job = run_job($daemon, { type => 'fail_retry', args => { times => 5 }, retries => { max => 2, initial => '10ms' } });
	is($job->{state}, 'failed', 'no retries left');
	is($job->{error}{code}, 'not_yet', 'the last error is kept');
	$job = run_job($daemon, { type => 'fail_retry', args => { final => JSON::PP::true }, retries => 5 });
	is($job->{attempts}, 1, 'what can not pass is not tried again');
	my $start = time;
	$job = run_job($daemon,
		{ type => 'fail_retry', args => { times => 1, retry_after => '700ms' }, retries => { max => 1, initial => '1ms' } });
	cmp_ok(time - $start, '>=', 0.7, 'retry_after is honoured');
	$daemon->stop;
};

subtest 'kill -9 of the broker' => sub {
	my $daemon = daemon();
	my (undef, $job) = http_json($daemon->socket, 'POST', '/v1/jobs',
		{ type => 'sleep', args => { seconds => 60 }, durability => 'memory' });
	kill KILL => ($daemon->role_pids('broker'))[0];
	ok(poll_until(sub { http($daemon->socket, 'GET', '/readyz')->{status} == 200 }), 'another one serves, with the same workers');
	my ($status, $problem) = http_json($daemon->socket, 'GET', "/v1/jobs/$job->{id}");
	is($status, 410, 'a job kept in memory went with the first');
	is($problem->{code}, 'lost', 'and is known to be lost');
	is(run_job($daemon, { type => 'noop' })->{state}, 'succeeded', 'new ones run');
	is((http_json($daemon->socket, 'GET', '/v1/workers'))[1]{workers}[0]{running}{light}, 0,
		'the workers were told to drop what they held');
	$daemon->stop;
};

subtest 'kill -9 of the supervisor' => sub {
	my $daemon = daemon();
	my @pids = keys %{ $daemon->processes };
	cmp_ok(scalar @pids, '>=', 3, 'a broker and two workers');
	$daemon->kill9;
	ok(poll_until(sub { !grep { Gather::Daemon::command_line($_) =~ /gatherd/ } @pids }), 'none outlives it');
};

subtest 'drain' => sub {
	my $daemon = daemon();
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { %job, type => 'sleep', args => { seconds => 1 }, tag => $_ } } 1 .. 10);
	ok(poll_until(sub { stats($daemon)->{jobs}{running} == 10 }), 'jobs run');
	$daemon->signal('TERM');
	my %states;
	for (1 .. 10) { $states{ ($lines->next(20) // { state => 'lost' })->{state} }++ }
	is_deeply(\%states, { succeeded => 10 }, 'SIGTERM lets them finish, and their results are delivered');
	is($daemon->wait_exit, 0, 'then it exits with 0');

	$daemon = daemon();
	$lines = Gather::Lines->new($daemon->socket);
	$lines->send({ %job, type => 'sleep', args => { seconds => 60 } });
	ok(poll_until(sub { stats($daemon)->{jobs}{running} == 1 }), 'a long job runs');
	$daemon->signal('TERM');
	$daemon->log_like(qr/drain|stopping|finish/i, 'it is being waited for');
	$daemon->signal('TERM');
	my $start = time;
	ok(defined $daemon->wait_exit(10), 'a second SIGTERM ends it');
	cmp_ok(time - $start, '<', 5, 'at once');
};

done_testing;
