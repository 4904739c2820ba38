#!/usr/bin/perl
# Crashes and durable jobs: what they are charged with outlives the broker, and what may run once runs once.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use JSON::PP ();
use Test::More;

my $trouble = abs_path(Gather::Daemon::build() . '/tests/workers/trouble.so');

sub daemon {
	my (%options) = @_;
	return Gather::Daemon->new(plugins => [$trouble], workers => 2, worker_restarts => 100, %options)->start;
}

sub submit {
	my ($daemon, %job) = @_;
	my ($status, $answer) = http_json($daemon->socket, 'POST', '/v1/jobs', { durability => 'fsync', %job });
	is($status, 201, "$job{type}: accepted") or diag explain $answer;
	return $answer->{id};
}

sub job {
	my ($daemon, $id, $wait) = @_;
	return (http_json($daemon->socket, 'GET', "/v1/jobs/$id" . ($wait ? "?wait=$wait" : '')))[1];
}

# The attempt has begun. Its job is shown as running before that: as soon as it is on its way.
sub runs {
	my ($daemon, $id, $attempt) = @_;
	return poll_until(sub { (job($daemon, $id)->{progress}{text} // '') eq "attempt $attempt" });
}

sub serves {
	my ($daemon) = @_;
	return poll_until(sub { http($daemon->socket, 'GET', '/readyz')->{status} == 200 });
}

subtest 'at most once' => sub {
	my $daemon = daemon(workers => 1);
	my @once = map { submit($daemon, type => 'echo', args => { after => 60, tell => JSON::PP::true }, retries => 0, at_most_once => JSON::PP::true) } 1 .. 3;
	my $other = submit($daemon, type => 'echo', args => { after => 1, tell => JSON::PP::true });
	ok(runs($daemon, $_, 1), 'it runs') for @once, $other;
	kill KILL => $daemon->worker_pid(0);
	for (@once) {
		my $job = job($daemon, $_, '20s');
		is($job->{state}, 'failed', 'its worker is killed: it fails');
		is($job->{error}{code}, 'outcome_unknown', 'since nobody knows whether it has done anything');
		is($job->{error}{signal}, 'SIGKILL', 'with what is known');
		is($job->{attempts}, 1, 'and never runs again');
	}
	is(job($daemon, $other, '20s')->{state}, 'succeeded', 'one that may run again does');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'at most once, and the broker is killed' => sub {
	my $daemon = daemon(workers => 1);
	my $id = submit($daemon, type => 'echo', args => { after => 2, tell => JSON::PP::true }, retries => 0, at_most_once => JSON::PP::true);
	ok(runs($daemon, $id, 1), 'it runs');
	kill KILL => ($daemon->role_pids('broker'))[0];
	ok(serves($daemon), 'another broker');
	my $job = job($daemon, $id, '20s');
	is($job->{state}, 'succeeded', 'its worker goes on: it succeeds');
	is($job->{attempts}, 1, 'once');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'charges outlive the broker' => sub {
	my $daemon = daemon();
	my $id = submit($daemon, type => 'crash', args => { how => 'segv', after => '700ms', tell => JSON::PP::true }, retries => 0);
	for my $attempt (2, 3, 4) {
		ok(runs($daemon, $id, $attempt), "attempt $attempt, after " . ($attempt - 1) . ' crashes') or diag explain job($daemon, $id);
		kill KILL => ($daemon->role_pids('broker'))[0];
		ok(serves($daemon), 'the broker is killed, and another one serves');
	}
	my $job = job($daemon, $id, '20s');
	is($job->{state}, 'failed', 'it fails');
	is($job->{error}{signal}, 'SIGSEGV', 'with the signal');
	like($job->{error}{message}, qr/alone, 4 times now/, 'alone, at the fourth time');
	is($job->{attempts}, 4, 'as if the broker had never died');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'a crash while no broker listens' => sub {
	my $daemon = daemon(restart_delay => '1500ms', restart_delay_max => '2s', broker_restarts => 100);
	my $id = submit($daemon, type => 'crash', args => { how => 'segv', after => '1s', tell => JSON::PP::true }, retries => 0);
	my $bystander = submit($daemon, type => 'echo', args => { text => 'here', after => 2 });
	ok(runs($daemon, $id, 1), 'a job runs');
	kill KILL => ($daemon->role_pids('broker'))[0];
	$daemon->log_like(qr/worker \d \(pid \d+\) died of SIGSEGV/, 'and crashes its worker while there is no broker');
	ok(serves($daemon), 'the next one');
	my $job = job($daemon, $id, '20s');
	like($job->{error}{message}, qr/alone, 4 times now/, 'has charged that, too');
	is($job->{attempts}, 4, 'and no more');
	is(job($daemon, $bystander, '20s')->{body}, 'here', 'the bystander succeeds');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'killed while no broker listens' => sub {
	my $daemon = daemon(restart_delay => '1500ms', restart_delay_max => '2s', broker_restarts => 100);
	my $id = submit($daemon, type => 'crash', args => { how => 'kill', after => '1s', tell => JSON::PP::true }, retries => 0);
	my @others = map { submit($daemon, type => 'echo', args => { after => 1, tell => JSON::PP::true }) } 1 .. 8;
	ok(runs($daemon, $_, 1), 'it runs') for $id, @others;
	kill KILL => ($daemon->role_pids('broker'))[0];
	$daemon->log_like(qr/worker \d \(pid \d+\) died of SIGKILL/, 'a worker is killed while there is no broker');
	ok(serves($daemon), 'the next one');
	$daemon->log_like(qr/sacrificial worker started/, 'has those that were there run apart');
	my $job = job($daemon, $id, '30s');
	is($job->{error}{signal}, 'SIGKILL', 'and finds who did it');
	is(job($daemon, $_, '20s')->{state}, 'succeeded', 'another succeeds') for @others;
	is(scalar(() = $daemon->log_text =~ /worker \d \(pid \d+\) died of SIGKILL/g), 1, 'and no other worker dies for it');
	is($daemon->stop, 0, 'the daemon stops');
};

done_testing;
