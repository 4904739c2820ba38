# Gather::Daemon: a gatherd of its own for a test, in a directory of its own, gone with the test.
#
#	my $d = Gather::Daemon->new(workers => 2);    # further options of gatherd.conf by name
#	$d->start;                                    # returns once it serves
#	$d->log_like(qr/ready/, 'says so');           # polls the log
#	poll_until(sub { ... }) or fail 'too late';   # the one way to wait
#	$d->stop;                                     # SIGTERM; the exit status
#
# The daemon ends with the object, and with the test program however that ends. When a test failed, the directory with
# the log stays, and its name is printed.
package Gather::Daemon;
use strict;
use warnings;
use Carp qw(croak);
use Exporter qw(import);
use Fcntl qw(F_SETFD FD_CLOEXEC);
use File::Temp ();
use IO::Select;
use IO::Socket::UNIX;
use POSIX qw(:sys_wait_h _exit);
use Test::More ();
use Time::HiRes qw(sleep time);

our @EXPORT_OK = qw(poll_until);

use constant LIMIT => $ENV{GATHER_TEST_LIMIT} // 20;    # seconds that any wait may take

# A test that is interrupted still runs its guards.
$SIG{$_} //= sub { exit 1 } for qw(INT TERM);

# Call $condition until it is true; its value, or false when the limit is over.
sub poll_until {
	my ($condition, $limit) = @_;
	my $end = time + ($limit // LIMIT);

	while (1) {
		my $value = $condition->();
		return $value if $value;
		return if time > $end;
		sleep 0.01;
	}
}

# The build tree; tests run in the root of the source tree.
sub build { return $ENV{GATHER_BUILD} // 'build' }

# program: another gatherd; env: { NAME => value } added to its environment; all else: options of gatherd.conf.
sub new {
	my ($class, %options) = @_;
	my $self = bless {
		program => delete $options{program} // build() . '/bin/gatherd',
		env     => delete $options{env} // {},
		dir     => File::Temp::tempdir('gather-XXXXXXXX', TMPDIR => 1),
		options => {},
	}, $class;

	chmod 0700, $self->dir;
	$self->conf(
		socket      => $self->socket,
		state_dir   => $self->dir . '/state',
		runtime_dir => $self->dir . '/run',
		workers     => 2,
		log_level   => 'debug',
		%options
	);
	return $self;
}

sub dir      { return $_[0]{dir} }
sub socket   { return $_[0]{dir} . '/s' }
sub log_file { return $_[0]{dir} . '/log' }
sub conf_file { return $_[0]{dir} . '/gatherd.conf' }
sub pid      { return $_[0]{pid} }

# Add to the environment of those that are started from now on.
sub environment {
	my ($self, %env) = @_;
	$self->{env} = { %{ $self->{env} }, %env };
	return $self;
}

# Set options and write the file; an array is a list, undef removes one. Takes effect at start, or by `$d->signal('HUP')`.
sub conf {
	my ($self, %options) = @_;

	$self->{options} = { %{ $self->{options} }, %options };
	open my $out, '>', $self->conf_file or croak "$self->{dir}/gatherd.conf: $!";
	for my $name (sort keys %{ $self->{options} }) {
		my $value = $self->{options}{$name};
		next unless defined $value;
		if (ref $value) {
			printf $out "%s = {%s}\n", $name, join ', ', map { quote($_) } @$value;
		} else {
			printf $out "%s = %s\n", $name, $value =~ /^\d+$/ ? $value : quote($value);
		}
	}
	close $out or croak "$self->{dir}/gatherd.conf: $!";
	return $self;
}

sub quote {
	my ($text) = @_;
	$text =~ s/([\\"])/\\$1/g;
	return qq("$text");
}

# Start it without waiting; more arguments may be given.
sub launch {
	my ($self, @arguments) = @_;

	croak 'it runs already' if $self->{pid};
	pipe my $ready, my $ready_end or croak "pipe: $!";
	pipe my $eof_end, my $guard   or croak "pipe: $!";
	my @command = (
		$self->{program}, '-c', $self->conf_file, '--ready-fd', fileno $ready_end,
		'--until-eof', fileno $eof_end, @arguments
	);
	my $pid = fork // croak "fork: $!";
	if (!$pid) {
		fcntl $_, F_SETFD, 0 for $ready_end, $eof_end;
		open STDIN,  '<',  '/dev/null';
		open STDOUT, '>>', "$self->{dir}/out";
		open STDERR, '>>', $self->log_file;
		$ENV{$_} = $self->{env}{$_} for keys %{ $self->{env} };
		exec { $command[0] } @command or print STDERR "$command[0]: $!\n";
		_exit(127);
	}
	@$self{qw(pid guard ready)} = ($pid, $guard, $ready);
	return $self;
}

# Start it and wait until it serves. Dies if it doesn't.
sub start {
	my ($self, @arguments) = @_;

	$self->launch(@arguments);
	return $self if $self->wait_ready;
	my $status = $self->wait_exit(1);
	croak 'gatherd ' . (defined $status ? "exited with $status" : 'is not ready') . ":\n" . $self->log_text;
}

# Whether it says "ready" within the limit.
sub wait_ready {
	my ($self, $limit) = @_;
	my $text = '';

	IO::Select->new($self->{ready})->can_read($limit // LIMIT) or return;
	sysread $self->{ready}, $text, 64;
	return $text eq "ready\n";
}

sub signal {
	my ($self, $name) = @_;
	return kill $name => $self->{pid};
}

# The exit status once it has ended: 0..255, or 'SIGn'; undef: it still runs at the limit.
sub wait_exit {
	my ($self, $limit) = @_;
	my $pid = $self->{pid} // return $self->{status};

	poll_until(sub { waitpid($pid, WNOHANG) == $pid }, $limit) or return;
	$self->{status} = WIFSIGNALED($?) ? 'SIG' . WTERMSIG($?) : WEXITSTATUS($?);
	delete @$self{qw(pid guard ready)};
	return $self->{status};
}

sub stop {
	my ($self) = @_;
	$self->signal('TERM') if $self->{pid};
	return $self->wait_exit;
}

sub kill9 {
	my ($self) = @_;
	$self->signal('KILL') if $self->{pid};
	return $self->wait_exit;
}

# Pids of the processes below it: { pid => command line }.
sub processes {
	my ($self) = @_;
	return {} unless $self->{pid};
	return below($self->{pid});
}

# Pids of the role's processes; of workers by slot, those that live.
sub role_pids {
	my ($self, $role) = @_;
	my $all = $self->processes;
	my %slot = map { $_ => $all->{$_} =~ /--slot (\d+)/ ? $1 : 0 } keys %$all;
	my @pids = sort { $slot{$a} <=> $slot{$b} } grep { $all->{$_} =~ /--role \Q$role\E\b/ } keys %$all;

	return @pids;
}

# The pid of the worker in this slot, waited for while there is none.
sub worker_pid {
	my ($self, $slot) = @_;

	return poll_until(
		sub {
			my $all = $self->processes;
			my ($pid) = grep { $all->{$_} =~ /--role worker --slot $slot / } keys %$all;
			return $pid;
		}
	);
}

sub below {
	my ($top) = @_;
	my (%parent, %found);

	for my $path (glob '/proc/[0-9]*/stat') {
		open my $in, '<', $path or next;
		my $line = <$in> // next;
		$parent{$1} = $2 if $line =~ /^(\d+) \(.*\) [^Z] (\d+)/s;
	}
	my @wanted = ($top);
	while (defined(my $pid = shift @wanted)) {
		my @children = grep { $parent{$_} == $pid } keys %parent;
		$found{$_} = command_line($_) for @children;
		push @wanted, @children;
	}
	return \%found;
}

sub command_line {
	my ($pid) = @_;
	open my $in, '<', "/proc/$pid/cmdline" or return '';
	local $/;
	my $text = <$in> // '';
	$text =~ tr/\0/ /;
	return $text;
}

sub log_text {
	my ($self) = @_;
	open my $in, '<', $self->log_file or return '';
	local $/;
	return <$in> // '';
}

# A test: the log matches, now or within the limit. Returns what was captured, or the match.
sub log_like {
	my ($self, $pattern, $name, $limit) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my @found;

	poll_until(sub { @found = $self->log_text =~ $pattern }, $limit);
	Test::More::ok(scalar @found, $name) or Test::More::diag("no $pattern in:\n" . $self->log_text);
	return wantarray ? @found : $found[0];
}

sub log_unlike {
	my ($self, $pattern, $name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	return Test::More::unlike($self->log_text, $pattern, $name);
}

# A connected stream socket, or undef.
sub connect {
	my ($self) = @_;
	return IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => $self->socket);
}

# At the very end there is no Test::Builder to ask any more.
my $passed;
END { $passed = Test::More->builder->is_passing }

sub DESTROY {
	my ($self) = @_;
	local ($?, $!, $@);
	my $passing = ${^GLOBAL_PHASE} eq 'DESTRUCT' ? $passed : Test::More->builder->is_passing;

	if ($self->{pid}) {
		kill KILL => $self->{pid};
		waitpid $self->{pid}, 0;
	}
	if ($passing && !$ENV{GATHER_TEST_KEEP}) {
		File::Path::remove_tree($self->dir, { safe => 1 });
	} else {
		print STDERR "# kept: $self->{dir}\n";
	}
	return;
}

require File::Path;
1;
