# gather ps: the tasks of workers and of other programs, also of those that are stuck.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use Gather::Cli qw(from_json json_lines);
use Gather::Daemon qw(poll_until);
use Test::More;

my $build = abs_path(Gather::Daemon::build());
my $daemon = Gather::Daemon->new(
	workers    => 2,
	plugins    => ["$build/tests/workers/trouble.so"],
	'hang.warn'  => '30s',
	'hang.abort' => '100s',
	'hang.kill'  => '200s'
)->start;
my $cli = Gather::Cli->new(socket => $daemon->socket);

sub rows { return json_lines($cli->run('ps', '-o', 'jsonl', @_)->{out}) }

subtest 'a task that waits' => sub {
	my $id = $cli->run('submit', 'ignore_cancel', 'seconds=100')->{out};
	my ($row) = poll_until(sub { grep { $_->{name} eq 'ignore_cancel' } rows() }) or return fail 'it is seen';
	chomp $id;
	$row = (grep { $_->{name} eq 'ignore_cancel' } rows())[0];
	is($row->{state}, 'parked', 'is parked');
	is($row->{waits_for}, 'sleep', 'in its sleep');
	like($row->{site}, qr/runner_call\.c:\d+$/, 'and was spawned by the runner');
	cmp_ok($row->{age}, '>=', $row->{for}, 'its age is no less than its wait');
	my $other = 1 - $row->{worker};
	ok(!grep({ $_->{worker} != $other } rows('--worker', $other)), '--worker shows that one alone');
	ok(!grep({ $_->{name} eq 'ignore_cancel' } rows('--worker', $other)), 'where it is not');
	is_deeply([grep { $_->{name} eq 'ignore_cancel' } map { { name => $_->{name} } } rows($row->{pid})],
		[{ name => 'ignore_cancel' }], 'by the process id too');
};

subtest 'a worker that a task has wedged' => sub {
	$cli->run('submit', 'spin');
	my $stuck = poll_until(sub {
		my ($row) = grep { $_->{name} eq 'spin' && $_->{on_cpu} && $_->{for} > 1 } rows();
		return $row;
	}) or return fail 'its task is seen on the CPU';
	is($stuck->{state}, 'running', 'it runs');
	my $did = $cli->run('ps', '--tree', '--worker', $stuck->{worker});
	is($did->{status}, 0, '--tree: succeeds');
	like($did->{out}, qr/^worker $stuck->{worker}, process $stuck->{pid}:$/m, 'names the worker');
	like($did->{out}, qr/^\d+ spin  running on the CPU for \d+\.\ds  \S+:\d+$/m, 'and the task that wedges it');
	like($did->{err}, qr/process $stuck->{pid}: its loop has been stuck for \d+\.\ds in task \d+ spin \(\S+\)/, 'and says so');
	my $table = $cli->run('ps')->{out};
	like($table, qr/^ *\d+ +$stuck->{pid} +\d+ +spin +running /m, 'so does the table of all workers');
};

subtest 'a worker that hangs says where before it ends' => sub {
	my ($stuck) = grep { $_->{on_cpu} } rows();
	kill 'ABRT', $stuck->{pid};
	$daemon->log_like(qr/libgather: on the loop: task spin \(\S+:\d+\)\n.*trouble\.so/s, 'its task, and a backtrace');
};

subtest 'other programs' => sub {
	my $greet = $cli->start({ program => "$build/examples/greet" });
	my ($pid, @rows) = $greet->pid;
	ok(poll_until(sub { (@rows = rows($greet->pid)) >= 3 }), 'the tasks of an example');
	my $tree = $cli->run('ps', '--tree', $greet->pid)->{out};
	like($tree, qr/^1 main  /m, 'main first');
	like($tree, qr/^└─ \d+ greet  sleep for /m, 'below it what it waits for');
	my @sites = split /\n/, $cli->run('ps', '--stacks', $greet->pid)->{out};
	like($sites[0], qr/^ +PID +NAME +TASKS +STACK +SITE/, '--stacks: a table');
	ok(grep({ /^ *$pid +greet +\d+ +61440 +\S+greet\.c:\d+$/ } @sites), 'of places');
	$greet->signal('INT');
	$greet->wait;
	is($cli->run('ps', $pid)->{status}, 1, 'a process that has gone');
	like($cli->run('ps', $$)->{err}, qr/process $$ shows no tasks/, 'one without libgather');
};

subtest 'wrong use' => sub {
	is($cli->run('ps', 'x')->{status}, 2, 'no number');
	is($cli->run('ps', '-5')->{status}, 2, 'a negative one');
	is($cli->run('ps', '--worker', 'x')->{status}, 2, 'no worker');
	is($cli->run('ps', '--worker', '0', '1')->{status}, 2, 'both');
	is($cli->run('ps', '--worker', '77')->{status}, 1, 'a worker that there is not');
	is($cli->run('ps', '--tree', '-o', 'json')->{status}, 2, 'a tree as JSON');
};

$daemon->kill9;
done_testing;
