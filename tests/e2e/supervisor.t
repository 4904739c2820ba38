#!/usr/bin/perl
# The supervisor alone, with the roles of rig_roles.c: starting, watching, restarting and ending them.
use strict;
use warnings;
use Test::More;
use Cwd qw(abs_path);
use File::Temp ();
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h dup2);
use Socket qw(SOCK_STREAM SOCK_DGRAM);
use Time::HiRes qw(time);
use Fcntl qw(LOCK_EX);
use Gather::Daemon qw(poll_until);

my $rig = abs_path(Gather::Daemon::build() . '/tests/rig/gatherd_rig');
plan skip_all => 'gatherd_rig is not built' unless $rig && -x $rig;

# Let a sanitizer's build die of its signals as any other.
$ENV{ASAN_OPTIONS} = join ':', grep { defined } $ENV{ASAN_OPTIONS}, 'handle_segv=0';

# What the broker is told, by number.
my ($DRAIN, $STARTED, $KNOWN, $LOST, $RELOAD) = (2, 4, 5, 6, 8);

# Short silences, so that a hang is found within a test's patience.
my %hasty = ('hang.warn' => '300ms', 'hang.abort' => '800ms', 'hang.kill' => '1200ms');

sub rig { return Gather::Daemon->new(program => $rig, @_) }

sub alive { return kill 0 => $_[0] }

sub incarnation {
	my ($d, $slot) = @_;
	my $name = $slot == 4095 ? 'sacrificial worker' : "worker $slot";
	my @all = $d->log_text =~ /$name: started .*incarnation=(\d+)/g;
	return $all[-1];
}

sub started { return scalar(() = $_[0]->log_text =~ /$_[1]: started /g) }

# The wait status of a child of ours, or undef if it doesn't end; then it is killed.
sub ended {
	my ($pid) = @_;
	return $? if poll_until(sub { waitpid($pid, WNOHANG) == $pid });
	kill KILL => $pid;
	waitpid $pid, 0;
	return;
}

# Run the program to its end: exit status, standard output, standard error.
sub run {
	my (@arguments) = @_;
	my ($out, $err) = map { File::Temp->new } 1 .. 2;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		dup2(fileno $out, 1);
		dup2(fileno $err, 2);
		exec { $rig } 'gatherd', @arguments or POSIX::_exit(127);
	}
	my $status = (ended($pid) // 255 << 8) >> 8;
	local $/;
	seek $_, 0, 0 for $out, $err;
	return ($status, scalar <$out> // '', scalar <$err> // '');
}

subtest 'command line' => sub {
	my ($status, $out, $err) = run('--help');
	is $status, 0, '--help succeeds';
	like $out, qr/Usage: gatherd.*Examples:/s, 'with examples';
	($status, $out) = run('--version');
	like $out, qr/^gatherd \d+\.\d+\.\d+$/, '--version';
	($status, $out) = run('--help-options');
	like $out, qr/drain_timeout/, '--help-options lists the options';
	($status, $out, $err) = run('--colour');
	is $status, 2, 'an unknown option is refused';
	like $err, qr/--colour/, 'and named';
	($status, $out, $err) = run('here');
	is $status, 2, 'an unexpected argument is refused';
	like $err, qr/'here'/, 'and named';
	($status, $out, $err) = run('--ready-fd', 'x');
	is $status, 2, 'a descriptor is a number';
	($status, $out, $err) = run('--ready-fd', '99');
	is $status, 2, 'of an open one';
	like $err, qr/99/, 'and named';
	($status, $out, $err) = run('--role', 'worker');
	is $status, 2, '--role by hand is refused';
	like $err, qr/not for the command line/, 'and says so';
};

subtest 'the configuration is checked' => sub {
	my $d = rig();
	my ($status, $out, $err) = run('-t', '-c', $d->conf_file);
	is $status, 0, 'a right one';
	$d->conf(workers => 'many');
	($status, $out, $err) = run('-t', '-c', $d->conf_file);
	is $status, 78, 'a wrong one';
	like $err, qr/gatherd\.conf:\d+: workers/, 'with file, line and option';
	$d->launch;
	is $d->wait_exit, 78, 'nor does it start with it';
	$d->log_like(qr/gatherd\.conf:\d+: workers/, 'and says why');
	($status, $out, $err) = run('-t', '-c', $d->dir . '/none');
	is $status, 78, 'a missing one';
	like $err, qr/none/, 'is named';
	($status) = run('-t', '-o', 'workers=-1');
	is $status, 78, 'options of the command line are checked too';
};

subtest 'what a child is started with' => sub {
	my $d = rig(env => { SECRET => 'no', NOTIFY_SOCKET => '/nowhere', TZ => 'UTC' });
	$d->start;
	$d->log_like(qr/worker 1: descriptors 0 1 2 3 4 5 6$/m, 'a worker has its descriptors and no others');
	$d->log_like(qr/broker: descriptors 0 1 2 3 4 5 6 7$/m, 'the broker has the listener besides');
	$d->log_like(qr/worker 0: environment TZ=UTC/, 'the environment that it needs');
	$d->log_unlike(qr/environment (SECRET|NOTIFY_SOCKET)/, 'and no more');
	my ($cpu, $on) = $d->log_like(qr/worker 1: started .* cpu=(\d+) on=(\d+)/, 'a worker is pinned');
	is $on, $cpu, 'and runs there';
	$d->log_like(qr/broker: started .* build=1 listeners=1 types=\{"rig":1\}/, 'the broker has the table of types');
	my ($first, $second) = (incarnation($d, 0), incarnation($d, 1));
	$d->log_like(
		qr/told kind=$STARTED slot=0 incarnation=$first.*told kind=$STARTED slot=1 incarnation=$second.*told kind=$KNOWN/s,
		'the broker is told of all workers, then that these are all');
	is((stat $d->socket)[2] & 07777, 0660, 'the mode of the socket');
	is $d->stop, 0, 'it stops';
	ok !-e $d->socket, 'and takes the socket with it';
	$d->start;
	isnt incarnation($d, 0), $first, 'a later supervisor numbers its workers anew';
};

subtest 'pin = off' => sub {
	my $d = rig(pin => 'off', workers => 5);
	$d->start;
	is scalar(my @pids = $d->role_pids('worker')), 5, 'as many workers as configured';
	$d->log_like(qr/worker 4: started .* cpu=4294967295/, 'pinned nowhere');
};

subtest 'nothing outlives a killed supervisor' => sub {
	my $d = rig();
	$d->start;
	my @pids = keys %{ $d->processes };
	is scalar @pids, 3, 'broker and two workers';
	is $d->kill9, 'SIG9', 'killed';
	ok poll_until(sub { !grep { alive($_) } @pids }), 'all of them are gone';
	ok -e $d->socket, 'its socket is left behind';
	$d->start;
	ok $d->connect, 'and is taken over by the next one';
};

subtest 'a worker that dies is replaced, and its attempt named if it was to blame' => sub {
	my $d = rig();
	$d->start;
	for my $case ([ SEGV => 1000, 11 ], [ ABRT => 1000, 6 ], [ KILL => 0, 9 ], [ TERM => 0, 15 ]) {
		my ($signal, $token, $status) = @$case;
		my $incarnation = incarnation($d, 0);
		my $pid = $d->worker_pid(0);
		my $before = started($d, 'worker 0');
		kill $signal => $pid;
		$d->log_like(qr/told kind=$LOST slot=0 incarnation=$incarnation token=$token status=$status$/m, "SIG$signal");
		ok poll_until(sub { started($d, 'worker 0') > $before }), 'another one starts';
		my $next = incarnation($d, 0);
		cmp_ok $next, '>', $incarnation, 'with a new number';
		$d->log_like(qr/told kind=$STARTED slot=0 incarnation=$next/, 'that the broker is told');
	}
	my $incarnation = incarnation($d, 1);
	kill USR2 => $d->worker_pid(1);
	$d->log_like(qr/told kind=$LOST slot=1 incarnation=$incarnation token=1001 status=-4/, 'one that exited by itself');
	is scalar(grep { /Z/ } map { state_of($_) } children_of($d->pid)), 0, 'no zombies';
};

sub children_of {
	my ($pid) = @_;
	open my $in, '<', "/proc/$pid/task/$pid/children" or return;
	return split ' ', <$in> // '';
}

sub state_of {
	my ($pid) = @_;
	open my $in, '<', "/proc/$pid/stat" or return '';
	return (<$in> // '') =~ /\) (\S)/ ? $1 : '';
}

subtest 'a silent loop' => sub {
	my $d = rig(%hasty);
	$d->start;
	my $incarnation = incarnation($d, 0);
	kill USR1 => $d->worker_pid(0);
	$d->log_like(qr/supervisor: warning|supervisor warning: worker 0 .*no sign of life/, 'is warned of');
	$d->log_like(qr/worker 0 .*: aborted/, 'then aborted');
	$d->log_like(qr/told kind=$LOST slot=0 incarnation=$incarnation token=1000 status=0/, 'and charged');
	$incarnation = incarnation($d, 1);
	kill STOP => $d->worker_pid(1);
	$d->log_like(qr/worker 1 .*: killed/, 'a stopped worker takes SIGKILL only');
	$d->log_like(qr/told kind=$LOST slot=1 incarnation=$incarnation token=1001 status=0/, 'and counts as hung');
	kill USR1 => $d->role_pids('broker');
	$d->log_like(qr/broker .*: aborted/, 'the broker is watched like that, too');
	ok poll_until(sub { started($d, 'broker') == 2 }), 'and replaced';
	is $d->stop, 0, 'it goes on';
};

subtest 'a supervisor that was stopped kills nobody for it' => sub {
	my $d = rig(%hasty);
	$d->start;
	my @pids = ($d->pid, keys %{ $d->processes });
	kill STOP => @pids;
	my $end = time + 2.5;    # what must not be noticed, on its clock
	poll_until(sub { time > $end });
	kill CONT => @pids;
	$d->signal('HUP');
	$d->log_like(qr/configuration reloaded/, 'it goes on');
	$d->log_unlike(qr/no sign of life for .*: (aborted|killed)/, 'and so do the others');
};

subtest 'the broker' => sub {
	my $d = rig();
	$d->start;
	my @workers = $d->role_pids('worker');
	my ($first, $second) = (incarnation($d, 0), incarnation($d, 1));
	kill KILL => $d->role_pids('broker');
	ok poll_until(sub { started($d, 'broker') == 2 }), 'is restarted';
	my $told = qr/told kind=$STARTED slot=0 incarnation=$first.*told kind=$STARTED slot=1 incarnation=$second.*told kind=$KNOWN/s;
	$d->log_like(qr/$told.*$told/s, 'and told of the workers that live');
	is_deeply [ $d->role_pids('worker') ], \@workers, 'which went on';
	my $client = $d->connect;
	is scalar <$client>, "hello\n", 'it serves on the same socket';
	print $client "replace 1\n";
	close $client;
	ok poll_until(sub { started($d, 'worker 1') == 2 }), 'it can have a worker replaced';
	$d->log_like(qr/told kind=$LOST slot=1 incarnation=$second token=0 .* blameless$/m, 'which charges nobody');
	$second = incarnation($d, 1);
	kill WINCH => $d->worker_pid(1);
	$d->log_like(qr/told kind=$LOST slot=1 incarnation=$second token=0 .* blameless$/m,
		'nor does a worker that starts anew of its own');
};

sub ask {
	my ($d, $line) = @_;
	my $client = poll_until(sub { $d->connect });
	my $hello = <$client>;    # it has been accepted
	print $client "$line\n";
	return close $client;
}

sub alone { return incarnation($_[0], 4095) }

subtest 'the sacrificial worker' => sub {
	my $d = rig();
	$d->start;
	$d->log_unlike(qr/slot=4095/, 'is not there by itself');
	ask($d, 'sacrifice');
	my ($cpu) = $d->log_like(qr/started pid=\d+ slot=4095 cpu=(\d+)/, 'the broker asks for it');
	is $cpu, 4294967295, 'it is pinned nowhere';
	my $first = alone($d);
	$d->log_like(qr/told kind=$STARTED slot=4095 incarnation=$first/, 'and told of it');
	my $pid = $d->worker_pid(4095);
	ask($d, 'sacrifice');
	kill SEGV => $pid;
	$d->log_like(qr/told kind=$LOST slot=4095 incarnation=$first token=5095 status=11$/m, 'it dies of its job');
	kill SEGV => $d->worker_pid(0);
	ok poll_until(sub { started($d, 'worker 0') == 2 }), 'and while others are replaced';
	is alone($d), $first, 'it is not, since nobody asks';
	for my $n (1 .. 12) {
		my $before = alone($d);
		ask($d, 'sacrifice');
		ok poll_until(sub { alone($d) > $before }, 2), "asked for again, number $n comes at once";
		$d->log_like(qr/told kind=$STARTED slot=4095 incarnation=${\alone($d)}/, 'it is up');
		ok poll_until(sub { $d->log_text =~ /started pid=\d+ slot=4095 .*incarnation=${\alone($d)} / }), 'and runs';
		kill KILL => $d->worker_pid(4095);
		$d->log_like(qr/told kind=$LOST slot=4095 incarnation=${\alone($d)} token=0 status=9$/m, 'until it is killed');
	}
	my $before = alone($d);
	ask($d, 'sacrifice');
	ok poll_until(sub { alone($d) > $before }), 'another one';
	ask($d, 'dismiss');
	$d->log_like(qr/told kind=$LOST slot=4095 incarnation=\d+ token=0 .* blameless$/m, 'dismissed, it ends');
	is scalar(my @left = $d->role_pids('worker')), 2, 'and is gone';
	is $d->stop, 0, 'the daemon stops';
};

subtest 'a sacrificial worker that can not start' => sub {
	my $d = rig(workers => 1, env => { CMOCKA_RIG => 'lonely crashing' }, worker_restarts => 100);
	$d->start;
	ask($d, 'sacrifice');
	$d->log_like(qr/told kind=$LOST slot=4095/, 'dies');
	my $end = time + 1;
	until (time > $end) {
		ask($d, 'sacrifice');
		poll_until(sub { 1 });
	}
	cmp_ok lives_of($d), '>=', 2, 'is started again when it is asked for';
	cmp_ok lives_of($d), '<=', 5, 'but at the pace of a backoff';
	is $d->stop, 0, 'the daemon stops';
};

sub lives_of { return scalar(() = $_[0]->log_text =~ /sacrificial worker started, pid/g) }

subtest 'what a new broker is told' => sub {
	my $d = rig();
	$d->start;
	ask($d, 'sacrifice');
	my ($first, $second) = (incarnation($d, 0), incarnation($d, 1));
	my $alone = poll_until(sub { alone($d) });
	my $pid = $d->worker_pid(4095);
	poll_until(sub { $d->log_text =~ /sacrificial worker: .*started/ });
	my $broker = ($d->role_pids('broker'))[0];
	kill STOP => $broker;
	kill SEGV => $d->worker_pid(0);
	ok poll_until(sub { started($d, 'worker 0') == 2 }), 'a worker dies while the broker can not hear';
	my $third = incarnation($d, 0);
	kill KILL => $broker;
	$d->log_like(qr/told kind=$LOST slot=0 incarnation=$first token=1000 status=11\n(?:.*\n)*?.*told kind=$KNOWN/,
		'its successor hears of that death');
	my ($told) = $d->log_text =~ /.*(told kind=$LOST slot=0 .*?told kind=$KNOWN)/s;
	like $told, qr/told kind=$STARTED slot=$_->[0] incarnation=$_->[1] /, "then of $_->[2]"
		for [ 0, $third, 'its replacement' ], [ 1, $second, 'the other worker' ], [ 4095, $alone, 'the sacrificial one' ];
	ok alive($pid), 'which goes on with its work';
	ask($d, 'dismiss');
	ok poll_until(sub { !alive($pid) }), 'until the new broker dismisses it';
};

subtest 'a broker that keeps dying is given up' => sub {
	my $d = rig(broker_restarts => 2);
	$d->start;
	for my $n (1 .. 3) {
		poll_until(sub { started($d, 'broker') == $n });
		poll_until(sub { kill KILL => $d->role_pids('broker') });
	}
	is $d->wait_exit, 1, 'the daemon exits';
	$d->log_like(qr/giving up/, 'and says so');
};

subtest 'a worker that keeps dying is tried on' => sub {
	my $d = rig(worker_restarts => 2, env => { CMOCKA_RIG => 'crashing' });
	$d->launch;
	$d->log_like(qr/worker 0 is started again in 3\d\.\d s/, 'but seldom');
	ok !$d->wait_ready(0), 'it is not ready without a worker';
	is $d->stop, 0, 'it stops all the same';
};

subtest 'a hopeless child' => sub {
	my $d = rig();
	$d->start;
	kill USR2 => $d->role_pids('broker');
	is $d->wait_exit, 78, 'status 78 is passed on';
	is started($d, 'broker'), 1, 'and nothing restarted';
};

subtest 'job types that cannot be loaded' => sub {
	for my $case ([ broken => 'no such module' ], [ crash => 'SIGSEGV' ]) {
		my ($plugin, $message) = @$case;
		my $d = rig(plugins => ["/$plugin.so"]);
		$d->launch;
		is $d->wait_exit, 78, "$plugin: refused";
		$d->log_like(qr/$message/, 'with the reason');
		$d->log_unlike(qr/worker 0: started/, 'before any worker');
	}
	my $d = rig(plugins => ['/endless.so']);
	$d->launch;
	poll_until(sub { $d->role_pids('types') });
	is $d->stop, 0, 'one that takes long can be interrupted';
};

subtest 'stopping' => sub {
	my $d = rig();
	$d->start;
	is $d->stop, 0, 'SIGTERM: drained';
	$d->log_like(qr/told kind=$DRAIN .*all that ran is finished/s, 'by the broker');

	$d = rig(drain_timeout => '300ms', env => { CMOCKA_RIG => 'undrainable' });
	$d->start;
	is $d->stop, 0, 'jobs that do not finish';
	$d->log_like(qr/didn't finish in time/, 'have their time');

	$d = rig(env => { CMOCKA_RIG => 'undrainable' });
	$d->start;
	$d->signal('TERM');
	$d->log_like(qr/told kind=$DRAIN/, 'while it drains');
	my $pid = $d->worker_pid(0);
	kill SEGV => $pid;
	$d->log_like(qr/told kind=$LOST slot=0/, 'a worker that dies is reported');
	ok poll_until(sub { started($d, 'worker 0') == 2 }), 'and replaced';
	$d->signal('INT');
	is $d->wait_exit, 0, 'a second signal ends it at once';

	$d = rig(env => { CMOCKA_RIG => 'undrainable stubborn' });
	$d->start;
	$d->signal('TERM');
	$d->log_like(qr/told kind=$DRAIN/, 'children that ignore SIGTERM');
	$d->signal('TERM');
	is $d->wait_exit, 0, 'are killed';
};

subtest 'what jobs left behind' => sub {
	my $d = rig();
	$d->start;
	my $worker = $d->worker_pid(0);
	kill URG => $worker;
	ok poll_until(sub { children_of($worker) }), 'a worker starts a process';
	my ($left) = children_of($worker);
	kill SEGV => $worker;
	ok poll_until(sub { !alive($left) }), 'which goes with it';
	ok poll_until(sub { started($d, 'worker 0') == 2 }), 'another worker';
	$worker = $d->worker_pid(0);
	kill HUP => $worker;
	ok poll_until(sub { children_of($worker) }), 'starts one that hides from that';
	($left) = children_of($worker);
	ok poll_until(sub { getpgrp($left) == $left }), 'in a session of its own';
	kill KILL => $worker;
	ok poll_until(sub { started($d, 'worker 0') == 3 }), 'it is adopted';
	is $d->stop, 0, 'and ends';
	ok poll_until(sub { !alive($left) }), 'with the daemon';
};

subtest 'reload' => sub {
	my $d = rig();
	$d->start;
	$d->conf(max_jobs => 12345, workers => 3, drain_timeout => '77s');
	$d->signal('HUP');
	$d->log_like(qr/next start only: workers$/m, 'what needs a restart is said');
	$d->log_like(qr/broker: told kind=$RELOAD.*broker: config .*max_jobs = 12345/s, 'the broker has the new text');
	$d->log_like(qr/worker 1: told kind=$RELOAD/, 'and each worker');
	$d->conf(max_jobs => 'none');
	$d->signal('HUP');
	$d->log_like(qr/not reloaded.*gatherd\.conf:\d+: max_jobs/, 'a wrong one is refused');
	is scalar(my @pids = $d->role_pids('worker')), 2, 'and all goes on';
	$d->conf(max_jobs => 1);
	$d->signal('HUP') for 1 .. 200;
	$d->log_like(qr/max_jobs = 1\\x0a/, 'many at once');
	$d->signal('TERM');
	$d->log_like(qr/have 77 s to finish/, 'the supervisor follows it, too');
	is $d->wait_exit, 0, 'it stops';
};

subtest 'one daemon a place' => sub {
	my $d = rig();
	$d->start;
	my $other = rig(state_dir => $d->dir . '/state');
	$other->launch;
	is $other->wait_exit, 78, 'a second one on the state directory is refused';
	my $pid = $d->pid;
	$other->log_like(qr/in use by another gatherd, pid $pid/, 'and the first one named');
	$other = rig(runtime_dir => $d->dir . '/run');
	$other->launch;
	is $other->wait_exit, 78, 'one on the runtime directory, too';
	$other->log_like(qr/runtime_dir = .*: in use by another gatherd, pid $pid/, 'which is said');
	my $heir = rig();
	mkdir $heir->dir . '/state', 0700;
	open my $lock, '+>', $heir->dir . '/state/lock' or die;
	flock $lock, LOCK_EX;
	my $dead = fork // die;
	POSIX::_exit(0) unless $dead;
	waitpid $dead, 0;
	syswrite $lock, "$dead\n";
	$heir->launch;
	$heir->log_like(qr/waiting for what gatherd $dead left behind/, 'one that is no more is waited for');
	close $lock;    # as its last child does when it dies
	$heir->wait_ready;
	pass 'and inherited from';
	$heir->stop;
	$other = rig(socket => $d->socket);
	$other->launch;
	is $other->wait_exit, 78, 'nor on the socket';
	$other->log_like(qr/another program accepts connections/, 'and says so');
	ok $d->connect, 'the first one is untouched';
	my $file = rig();
	open my $out, '>', $file->socket or die;
	close $out;
	$file->launch;
	is $file->wait_exit, 78, 'a file in the place of the socket';
	ok -f $file->socket, 'is left alone';
};

subtest 'closed standard descriptors' => sub {
	my $d = rig();
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		POSIX::close($_) for 0 .. 2;
		exec { $rig } 'gatherd', '-c', $d->conf_file or POSIX::_exit(127);
	}
	ok poll_until(sub { my $client = $d->connect; $client && <$client> }), 'it serves';
	for my $fd (0 .. 2) {
		is readlink "/proc/$pid/fd/$fd", '/dev/null', "descriptor $fd";
	}
	kill TERM => $pid;
	is ended($pid), 0, 'it stops';
};

subtest 'private' => sub {
	my $dir = File::Temp::tempdir(CLEANUP => 1) . '/private';
	pipe my $ready, my $ready_end;
	pipe my $eof_end, my $guard;
	my $errors = File::Temp->new;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		fcntl $_, Fcntl::F_SETFD(), 0 for $ready_end, $eof_end;
		dup2(fileno $errors, 2);
		exec { $rig } 'gatherd', '--private', $dir, '--ready-fd', fileno $ready_end, '--until-eof', fileno $eof_end
			or POSIX::_exit(127);
	}
	close $ready_end;
	is scalar <$ready>, "ready\n", 'it says when it serves';
	is scalar <$ready>, undef, 'and closes that';
	is((stat $dir)[2] & 07777, 0700, 'its directory is its own');
	ok -S "$dir/s", 'with the socket in it';
	my @pids = keys %{ Gather::Daemon::below($pid) };
	close $guard;
	is ended($pid), 0, 'it ends when the other end is closed';
	ok !(grep { alive($_) } @pids), 'with all its processes';
	ok !-e $dir, 'and leaves nothing';
	seek $errors, 0, 0;
	is join('', grep { /supervisor/ } <$errors>), '', 'in silence';
	my $open = File::Temp::tempdir(CLEANUP => 1);
	chmod 0777, $open;
	my ($status, undef, $err) = run('--private', $open);
	is $status, 78, 'a directory that others can write to is refused';
	like $err, qr/\Q$open\E/, 'and named';
};

subtest '--dev' => sub {
	my $dir = File::Temp::tempdir(CLEANUP => 1);
	my $out = File::Temp->new;
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		$ENV{XDG_RUNTIME_DIR} = $dir;
		dup2(fileno $out, 1);
		open STDERR, '>', '/dev/null';
		exec { $rig } 'gatherd', '--dev' or POSIX::_exit(127);
	}
	my $text = '';
	poll_until(sub { seek $out, 0, 0; local $/; $text = <$out> // ''; $text =~ /Ctrl-C/ });
	like $text, qr{^socket: \Q$dir\E/gatherd-dev/gatherd\.sock$}m, 'the socket';
	like $text, qr/GATHER_SOCKET=\S+ .*gather run/, 'and a first command';
	kill INT => $pid;
	is ended($pid), 0, 'Ctrl-C ends it';
};

subtest 'systemd' => sub {
	my $dir = File::Temp::tempdir(CLEANUP => 1);
	my $notify = IO::Socket::UNIX->new(Type => SOCK_DGRAM, Local => "$dir/notify") or die "notify: $!";
	my $listener = IO::Socket::UNIX->new(Type => SOCK_STREAM, Local => "$dir/activated", Listen => 5) or die "listen: $!";
	my $d = rig(%hasty, 'hang.abort' => '30s', 'hang.kill' => '40s');
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		POSIX::close(3);
		dup2(fileno $listener, 3);
		open STDERR, '>>', $d->log_file;
		@ENV{qw(NOTIFY_SOCKET LISTEN_PID LISTEN_FDS WATCHDOG_USEC WATCHDOG_PID)} =
			("$dir/notify", $$, 1, 400_000, $$);
		exec { $rig } 'gatherd', '-c', $d->conf_file or POSIX::_exit(127);
	}
	my $heard = '';
	$notify->blocking(0);
	my $hear = sub {
		my ($pattern) = @_;
		return poll_until(sub {
			while (defined $notify->recv(my $text, 4096)) { $heard .= "$text\n" }
			$heard =~ $pattern;
		});
	};
	ok $hear->(qr/^READY=1$/m), 'it says when it serves';
	ok $hear->(qr/^STATUS=broker up, 2 of 2 workers up$/m), 'and how it is';
	ok $hear->(qr/^WATCHDOG=1\n.*^WATCHDOG=1\n/ms), 'its watchdog is fed';
	my $client = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => "$dir/activated");
	is scalar <$client>, "hello\n", 'it serves on the socket that was passed';
	ok !-e $d->socket, 'and makes none';
	kill HUP => $pid;
	ok $hear->(qr/^RELOADING=1\n.*^READY=1\n/ms), 'a reload';
	my ($broker) = grep { Gather::Daemon::command_line($_) =~ /--role broker/ } children_of($pid);
	kill STOP => $broker;
	$d->log_like(qr/broker .* gives no sign of life/, 'when the broker is silent');
	$heard = '';
	my $end = time + 1;
	poll_until(sub { time > $end });
	while (defined $notify->recv(my $text, 4096)) { $heard .= "$text\n" }
	my $late = () = $heard =~ /WATCHDOG/g;
	cmp_ok $late, '<=', 2, 'the watchdog is not fed';
	kill CONT => $broker;
	ok $hear->(qr/^WATCHDOG=1$/m), 'until it is back';
	kill TERM => $pid;
	ok $hear->(qr/^STOPPING=1$/m), 'the end';
	is ended($pid), 0, 'it stops';
	ok -S "$dir/activated", 'and leaves the socket to its owner';
};

subtest 'the unit is hardened' => sub {
	plan skip_all => 'no systemd-analyze' unless grep { -x "$_/systemd-analyze" } split /:/, $ENV{PATH};
	my $text = `systemd-analyze security --offline=true systemd/gatherd.service 2>&1`;
	my ($level) = $text =~ /exposure level for gatherd.service: ([\d.]+)/;
	ok defined $level, 'it is judged' or diag $text;
	cmp_ok $level // 10, '<=', 2.0, 'and well';
};

done_testing;
