# What a job tells while it runs: how far it is, and its log.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Gather::Cli;
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Lines;
use Test::More;
use Time::HiRes qw(time);

my $trouble = abs_path(Gather::Daemon::build() . '/tests/workers/trouble.so');
my $daemon = Gather::Daemon->new(plugins => [$trouble], workers => 1, broker_restarts => 1000)->start;

sub submit {
	my ($job) = @_;
	return (http_json($daemon->socket, 'POST', '/v1/jobs', $job))[1];
}

sub show {
	my ($id, $wait) = @_;
	return (http_json($daemon->socket, 'GET', "/v1/jobs/$id" . ($wait ? "?wait=$wait" : '')))[1];
}

sub logs {
	my ($id) = @_;
	return http($daemon->socket, 'GET', "/v1/jobs/$id/logs");
}

sub telling { return { type => 'tell', args => { steps => 6, pause => '0.2s', line => 'a step', @_ } } }

for my $durability (qw(memory fsync)) {
	subtest "a job that tells, $durability" => sub {
		my $job = submit({ %{ telling() }, durability => $durability });
		my $seen = poll_until(sub { my $j = show($job->{id}); $j->{progress} && $j->{state} eq 'running' && $j });

		ok($seen, 'its progress is seen while it runs');
		cmp_ok($seen->{progress}{fraction}, '<', 1, 'on the way');
		is($seen->{progress}{text}, 'on the way', 'as it says');
		like(logs($job->{id})->{body}, qr/^\d{4}-\d\d-\d\dT[\d:.]+Z a step$/m, 'and its first line');
		my $end = show($job->{id}, '20s');
		is($end->{state}, 'succeeded', 'it ends');
		is_deeply($end->{progress}, { fraction => 1, text => 'there' }, 'all of it');
		my $log = logs($job->{id});
		is($log->{status}, 200, 'the log is kept');
		like($log->{headers}{'content-type'}, qr{^text/plain}, 'as text');
		is(scalar(() = $log->{body} =~ /^\S+ a step$/mg), 6, 'with each line once');
	};
}

subtest 'the broker dies meanwhile' => sub {
	my $job = submit({ %{ telling(steps => 20) }, durability => 'fsync' });

	ok(poll_until(sub { logs($job->{id})->{body} =~ /a step/ }), 'it runs');
	my ($pid) = $daemon->role_pids('broker');
	kill KILL => $pid;
	ok(poll_until(sub { my ($p) = $daemon->role_pids('broker'); $p && $p != $pid && $daemon->connect }), 'the broker is back');
	ok(poll_until(sub { my $l = logs($job->{id}); $l->{status} == 200 && $l->{body} =~ /a step/ }), 'it is told again');
	my $end = show($job->{id}, '20s');
	is($end->{state}, 'succeeded', 'the job ends');
	is($end->{attempts}, 1, 'in one attempt');
	is(scalar(() = logs($job->{id})->{body} =~ /^\S+ a step$/mg), 20, 'with each line once');
};

subtest 'the log outlives the daemon' => sub {
	my $job = submit({ %{ telling(pause => 0) }, durability => 'fsync' });
	is(show($job->{id}, '20s')->{state}, 'succeeded', 'it ends');
	is($daemon->stop, 0, 'the daemon ends');
	$daemon->start;
	is(scalar(() = logs($job->{id})->{body} =~ /^\S+ a step$/mg), 6, 'the log is there');
};

subtest 'what there is not' => sub {
	my $job = submit({ type => 'noop' });
	show($job->{id}, '10s');
	my $log = logs($job->{id});
	is($log->{status}, 200, 'a job that logs nothing');
	is($log->{body}, '', 'has an empty log');
	ok(!exists show($job->{id})->{progress}, 'and no progress');
	is(logs('01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70')->{status}, 404, 'an unknown job has none');
};

subtest 'the command' => sub {
	my $cli = Gather::Cli->new(socket => $daemon->socket);
	my $job = submit(telling(steps => 8));
	my $did = $cli->run('logs', '-f', $job->{id});

	is($did->{status}, 0, 'logs -f') or diag $did->{err};
	is(scalar(() = $did->{out} =~ /^\S+ a step$/mg), 8, 'prints each line once');
	cmp_ok($did->{seconds}, '>', 0.8, 'as they come');
	is($cli->run('logs', $job->{id})->{out}, $did->{out}, 'logs prints them again');
	is($cli->run('logs', '01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70')->{status}, 1, 'an unknown job');
	my $lines = Gather::Lines->new($daemon->socket);
	like($lines->ask({ op => 'logs', id => $job->{id} })->{body}, qr/a step/, 'a line asks, too');
	like($cli->run('show', $job->{id})->{out}, qr/^progress .*there/m, 'show has the progress');
};

$daemon->stop;
done_testing;
