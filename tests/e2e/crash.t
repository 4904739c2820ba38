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

subtest 'a job that crashes its worker' => sub {
	my $daemon = daemon(worker_restarts => 20);
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { %job, type => 'echo', args => { text => "n$_", after => 2 }, tag => $_ } } 1 .. 50);
	ok(poll_until(sub { stats($daemon)->{jobs}{running} == 50 }), 'bystanders run');
	my $job = run_job($daemon, { type => 'crash', args => { how => 'segv' } });
	is($job->{state}, 'failed', 'it fails for good');
	is($job->{error}{code}, 'worker_crashed', 'says why');
	is($job->{error}{signal}, 'SIGSEGV', 'with the signal');
	is($job->{attempts}, 3, 'after three attempts');
	my %states;
	for (1 .. 50) { $states{ ($lines->next(30) // { state => 'lost' })->{state} }++ }
	is_deeply(\%states, { succeeded => 50 }, 'the bystanders all succeed');
	$job = run_job($daemon, { type => 'crash', args => { how => 'abort', attempts => 1 } });
	is($job->{state}, 'succeeded', 'one that crashed once only is run again');
	$daemon->stop;
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
	like($states{spin}{error}{code}, qr/^worker_(hung|crashed)$/, 'as a hang');
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
	my (undef, $job) = http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 60 } });
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
