#!/usr/bin/perl
# A worker that says what it should not: late, twice, in another's name, or no record at all. Nothing of it counts, all of
# it is counted, and no job is lost. The worker is tests/e2e/scripted_worker.c; a right result has the body "good".
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http_json);
use Gather::Lines;
use JSON::PP ();
use Test::More;

my $program = abs_path(Gather::Daemon::build() . '/tests/rig/gatherd_scripted');
plan skip_all => 'gatherd_scripted is not built' unless $program && -x $program;

my $daemon = Gather::Daemon->new(program => $program, workers => 2, worker_restarts => 100, restart_delay_max => '200ms')->start;

sub script {
	my ($do, %job) = @_;
	return { type => 'script', args => { do => $do }, %job };
}

sub get { return (http_json($daemon->socket, 'GET', $_[0]))[1] }
sub post { return (http_json($daemon->socket, 'POST', @_))[1] }
sub stale { return get('/v1/stats')->{totals}{stale_results} }

# Run a job; it must end as if its worker had behaved. Returns it, and how many results were found stale meanwhile.
sub ends_well {
	my ($do, $attempts, %job) = @_;
	my $before = stale();
	my $job = post('/v1/jobs?wait=20s', script($do, %job));

	is($job->{state}, 'succeeded', "$do: it succeeds") or diag explain $job;
	is($job->{body}, 'good', 'with its own result');
	is($job->{attempts}, $attempts, "in attempt $attempts");
	return stale() - $before;
}

is(ends_well('good', 1), 0, 'a worker that behaves: no result is stale');

subtest 'results that do not count' => sub {
	my $before = stale();
	ends_well('double', 1);
	ok(poll_until(sub { stale() == $before + 2 }), 'the second and the third answer are counted');
	is(ends_well('stale', 2, retries => { max => 1, initial => '10ms' }), 1, 'so is one of an earlier attempt');
	is(ends_well('unknown', 1), 5, 'and those of attempts that never were');
};

subtest 'results of another worker' => sub {
	my $held = post('/v1/jobs', script('hold'));
	my $path = $daemon->dir . '/run/script-held';
	ok(poll_until(sub { -e $path }), 'a job runs');
	my $counted = 0;
	for (1 .. 4) { $counted += ends_well('foreign', 1) }
	cmp_ok($counted, '>=', 1, 'one that the other worker answers is counted');
	ends_well('usurp', 1) for 1 .. 4;
	is(get("/v1/jobs/$held->{id}")->{state}, 'running', 'the job still runs');
	open my $out, '>', $daemon->dir . '/run/script-release' or die;
	print $out "\0" x 64;
	close $out;
	my $job = get("/v1/jobs/$held->{id}?wait=20s");
	is($job->{body}, 'good', 'and ends with the result of its own worker');
	is($job->{attempts}, 1, 'of its only attempt');
};

subtest 'names that are not its own' => sub {
	ends_well('ghost', 2);
	ends_well('stranger', 1);
	$daemon->log_like(qr/stranger on the workers' socket sent garbage/, 'a nameless peer is told of');
};

subtest 'slots that were never held' => sub {
	ends_well('freed', 1);
	my @running = map { $_->{running}{light} } @{ get('/v1/workers')->{workers} };
	is_deeply(\@running, [ 0, 0 ], 'are not given back');
};

subtest 'what is no record, or none of a worker' => sub {
	for my $do (qw(garbage empty frames unwanted hello)) {
		ends_well($do, 2);
	}
	my $job = post('/v1/jobs?wait=20s', script('tail'));
	is($job->{body}, 'good', 'bytes behind a right result: the job succeeds');
	is(get('/v1/stats')->{totals}{crashes}, 0, 'nobody is charged for any of it');
	$daemon->log_unlike(qr/sacrificial/, 'nor suspected');
};

subtest 'nothing is lost on the way' => sub {
	my @scripts = qw(good double stale unknown garbage good freed empty tail hello);
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map {
		script($scripts[ $_ % @scripts ], wait => JSON::PP::true, tag => $_, retries => { max => 3, initial => '10ms' })
	} 1 .. 200);
	my (%bodies, %seen);
	for (1 .. 200) {
		my $answer = $lines->next(60) // last;
		$bodies{ $answer->{body} // $answer->{state} // 'none' }++;
		$seen{ $answer->{tag} }++;
	}
	is_deeply(\%bodies, { good => 200 }, 'two hundred jobs of all kinds end with their own results');
	is((grep { $_ > 1 } values %seen), 0, 'each once');
};

is($daemon->stop, 0, 'the daemon stops');
done_testing;
