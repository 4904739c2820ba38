# Jobs that handlers submit belong to the attempt that did: they end with it, and run where it waits.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my @plugins = map { abs_path(Gather::Daemon::build() . "/tests/workers/$_.so") } qw(family trouble);
# One worker with two slots: parents must make room for their children.
my $daemon = Gather::Daemon->new(plugins => \@plugins, workers => 1, 'capacity.light' => 2, store => 'sqlite')->start;
my $socket = $daemon->socket;

ok(poll_until(sub { http($socket, 'GET', '/readyz')->{status} == 200 }), 'the worker is there');

sub noop { return { type => 'noop', args => { echo => $_[0] } } }
sub nap { return { type => 'sleep', args => { seconds => $_[0] } } }
sub fan { my ($how, @jobs) = @_; return { type => 'fan', args => { how => $how, jobs => \@jobs } } }
sub stats { return (http_json($socket, 'GET', '/v1/stats'))[1]{jobs} }

sub run_job {
	my ($job, %fields) = @_;
	return (http_json($socket, 'POST', '/v1/jobs?wait=20s', { %$job, %fields }))[1];
}

sub settled { return poll_until(sub { my $s = stats(); !grep { $s->{$_} } qw(running ready retrying) }) }

subtest 'results come back' => sub {
	my $job = run_job(fan('gather', noop('a'), { type => 'echo', args => { text => 'a body' } }));
	is($job->{state}, 'succeeded', 'the parent succeeds') or diag explain $job;
	my $children = $job->{result}{children};
	is_deeply([ map { $_->{result} } @$children ], [ 0, 0 ], 'so did its children');
	is($children->[0]{meta}, '{"echo":"a"}', 'with metadata');
	is($children->[1]{body}, 'a body', 'and bodies');
	$job = run_job(fan('gather'));
	is($job->{state}, 'succeeded', 'none is fine');
};

subtest 'errors' => sub {
	my $job = run_job(fan('exceptions', { type => 'nope' }, nap('x'), { %{ noop(1) }, options => { durability => 'fsync' } },
		{ %{ noop(1) }, options => { colour => 'red' } }, { %{ nap(30) }, options => { timeout => '100ms' } }, noop(2)));
	is_deeply([ map { $_->{code} } @{ $job->{result}{children} } ],
		[qw(unknown_type bad_argument bad_field unknown_field timeout), ''], 'each is told');
	$job = run_job(fan('gather', nap(30), { type => 'nope' }, nap(30)));
	is($job->{state}, 'failed', "a child's error is the parent's");
	is_deeply([ map { $_->{result} } @{ $job->{result}{children} } ], [ -125, -5, -125 ], 'and cancels the siblings');
	ok(settled(), 'really');
};

subtest 'a parent that waits gives its slot back' => sub {
	my $began = time;
	my $deep  = noop('bottom');
	$deep = fan('gather', $deep) for 1 .. 8;
	my $job = run_job($deep);
	is($job->{state}, 'succeeded', 'eight deep with two slots') or diag explain $job;
	my @ids = map {
		(http_json($socket, 'POST', '/v1/jobs', { %{ fan('gather', map { nap(0.05) } 1 .. 5) }, durability => 'memory' }))[1]{id}
	} 1 .. 6;
	for my $id (@ids) {
		is((http_json($socket, 'GET', "/v1/jobs/$id?wait=20s"))[1]{state}, 'succeeded', 'and six at once');
	}
};

subtest 'what is left behind is cancelled' => sub {
	my $job = run_job(fan('leave', nap(60), nap(60), nap(60)));
	is($job->{state}, 'succeeded', 'the parent ends');
	ok(settled(), 'and its children with it');
	$job = run_job({ type => 'fan', args => { how => 'leave', fail_after => 0.2, jobs => [ nap(60) ] } });
	is($job->{error}{code}, 'left', 'if it fails, too');
	ok(settled(), 'and its children with it');
	$job = run_job(fan('cancel', nap(60), nap(60)));
	is($job->{state}, 'succeeded', 'a handler can cancel its children');
	is_deeply([ map { $_->{result} } @{ $job->{result}{children} } ], [ -125, -125 ], 'itself');
};

subtest 'the parent is cancelled, or its time is over' => sub {
	my (undef, $parent) = http_json($socket, 'POST', '/v1/jobs', fan('gather', nap(60), fan('gather', nap(60))));
	ok(poll_until(sub { stats()->{running} == 4 }), 'a family of four runs');
	is((http_json($socket, 'POST', "/v1/jobs/$parent->{id}/cancel"))[0], 200, 'its head is cancelled');
	is((http_json($socket, 'GET', "/v1/jobs/$parent->{id}?wait=20s"))[1]{state}, 'cancelled', 'and ends');
	ok(settled(), 'so do all');
	my $job = run_job(fan('gather', nap(60)), timeout => '300ms');
	is($job->{error}{code}, 'timeout', 'a timeout');
	ok(settled(), 'likewise');
};

subtest 'the worker dies' => sub {
	my (undef, $parent) = http_json($socket, 'POST', '/v1/jobs', fan('gather', nap(1.5), noop(1)));
	ok(poll_until(sub { stats()->{running} == 2 }), 'parent and child run');
	kill KILL => $daemon->worker_pid(0);
	my (undef, $job) = http_json($socket, 'GET', "/v1/jobs/$parent->{id}?wait=30s");
	is($job->{state}, 'succeeded', 'the parent runs again, with new children') or diag explain $job;
	is($job->{attempts}, 2, 'a second time');
	ok(settled(), 'those of the first are gone');
};

subtest 'the broker dies' => sub {
	my (undef, $parent) = http_json($socket, 'POST', '/v1/jobs',
		{ %{ fan('exceptions', nap(60), nap(60)) }, durability => 'fsync', retries => 0 });
	ok(poll_until(sub { stats()->{running} == 3 }), 'a durable parent and its children run');
	my ($pid) = $daemon->role_pids('broker');
	kill KILL => $pid;
	my $job;
	ok(poll_until(sub {
		my $answer = eval { http($socket, 'GET', "/v1/jobs/$parent->{id}?wait=20s") };
		return unless $answer && $answer->{status} == 200;
		$job = JSON::PP->new->decode($answer->{body});
	}), 'the parent is asked for');
	is($job->{state}, 'succeeded', 'it goes on') or diag explain $job;
	is($job->{attempts}, 1, 'in the same attempt');
	is_deeply([ map { $_->{code} } @{ $job->{result}{children} } ], [qw(lost lost)], 'and learns that its children are lost');
	ok(settled(), 'none of them runs any more');
};

is($daemon->stop, 0, 'it ends well');
done_testing;
