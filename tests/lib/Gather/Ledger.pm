# Gather::Ledger: the outside ledger of a daemon under torture: a producer that never gives up, a note of each death, and the
# judge (tests/crash/ledger.h says what is written down).
#
#	my $ledger = Gather::Ledger->new;
#	my $daemon = Gather::Daemon->new($ledger->conf, workers => 2)->start;
#	$ledger->produce($daemon->socket, rate => 1000);
#	$ledger->death($pid, $sent, 'worker');           # after having killed it
#	$ledger->settle or ...;                          # no new jobs; until each submission has its answer
#	my ($figures, @wrong) = $ledger->judge($daemon->socket);
package Gather::Ledger;
use strict;
use warnings;
use Cwd qw(abs_path);
use Fcntl qw(O_WRONLY O_CREAT O_APPEND);
use File::Path ();
use File::Temp ();
use Gather::Daemon qw(poll_until);
use POSIX qw(:sys_wait_h _exit);
use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);

use constant DEATH => 7;
use constant PROGRESS => qw(promises intents unknown refused connects done);

sub program { return abs_path(Gather::Daemon::build()) . '/tests/crash/ledger' }
sub plugin  { return abs_path(Gather::Daemon::build()) . '/tests/workers/ledger.so' }

# To be preloaded: see tests/crash/shim_log.h.
sub shim { return abs_path(Gather::Daemon::build()) . '/tests/crash/libshim.so' }

# Nanoseconds, as the ledger counts.
sub now { return int(clock_gettime(CLOCK_MONOTONIC) * 1e9) }

sub new {
	my ($class) = @_;
	my $self = bless { dir => File::Temp::tempdir('gather-ledger-XXXXXXXX', TMPDIR => 1), known => {} }, $class;

	sysopen $self->{deaths}, "$self->{dir}/deaths", O_WRONLY | O_CREAT | O_APPEND or die "$self->{dir}/deaths: $!";
	return $self;
}

sub dir { return $_[0]{dir} }

# What the daemon needs to know; more options follow.
sub conf {
	my ($self, %options) = @_;
	my $env = delete $options{env} // {};

	return (
		plugins => [plugin()],
		env     => { GATHER_TEST_LEDGER => $self->{dir}, %$env },
		%options
	);
}

sub produce {
	my ($self, $socket, %numbers) = @_;
	my @arguments = ('produce', $socket, $self->{dir}, map { "$_=$numbers{$_}" } sort keys %numbers);
	my $pid = fork // die "fork: $!";

	if (!$pid) {
		open STDIN, '<', '/dev/null';
		open STDERR, '>>', "$self->{dir}/produce.err";
		exec { program() } program(), @arguments or _exit(127);
	}
	$self->{pid} = $pid;
	return $self;
}

# Counters of the producer, by name; all 0 before it has begun.
sub progress {
	my ($self) = @_;
	my %progress = map { $_ => 0 } PROGRESS;

	if (open my $in, '<:raw', "$self->{dir}/progress") {
		my $n = sysread $in, my $bytes, 8 * (my @names = PROGRESS);
		@progress{ (PROGRESS) } = unpack 'Q<*', $bytes if $n && $n == 8 * @names;
	}
	return \%progress;
}

# Process $pid was killed (the signal was sent at $sent, by now()) and is gone. $role: 'broker', 'worker', ...
sub death {
	my ($self, $pid, $sent, $role, $gone) = @_;

	$self->{known}{$pid} = 1;
	syswrite $self->{deaths},
		pack('Q< Q< L< L< L< L< x16', $gone // now(), $sent, DEATH, $pid, $role eq 'broker' ? 1 : 0, 0)
		or die "$self->{dir}/deaths: $!";
	return;
}

# Deaths that only the daemon's log tells of: what it ended itself.
sub deaths_of_log {
	my ($self, $text) = @_;
	my $offset = now() - Time::HiRes::time() * 1e9;
	my $found = 0;

	while ($text =~ /^(\d+)-(\d+)-(\d+) (\d+):(\d+):(\d+\.\d+) \S+(?: \w+)?: (?:sacrificial )?(broker|worker)(?: \d+)? \(pid (\d+)\) (?:died|exited|has ended)/mg) {
		next if $self->{known}{$8};
		my $at = int($offset + 1e9 * (POSIX::mktime(int $6, $5, $4, $3, $2 - 1, $1 - 1900, 0, 0, -1) + $6 - int $6));
		$self->death($8, $at - 1_000_000_000, $7, $at + 1_000_000);
		$found++;
	}
	return $found;
}

# No new submissions; true once each has its answer and the producer has ended well.
sub settle {
	my ($self, $limit) = @_;
	my $pid = $self->{pid} // return 0;

	kill TERM => $pid;
	poll_until(sub { waitpid($pid, WNOHANG) == $pid }, $limit // 60) or return 0;
	delete $self->{pid};
	return $? == 0;
}

# Why the producer gave up, if it did.
sub complaint {
	my ($self) = @_;
	open my $in, '<', "$self->{dir}/produce.err" or return '';
	local $/;
	return <$in> // '';
}

sub is_running {
	my ($self) = @_;
	my $pid = $self->{pid} // return 0;

	return 1 if waitpid($pid, WNOHANG) == 0;
	delete $self->{pid};
	return 0;
}

# ({ accepted => n, ... }, what is wrong ...)
sub judge {
	my ($self, $socket, $patience) = @_;
	my (%figures, @wrong);

	open my $out, '-|', program(), 'judge', $socket, $self->{dir}, $patience // 60 or die program() . ": $!";
	while (<$out>) {
		chomp;
		if    (/^WRONG (.*)/)    { push @wrong, $1 }
		elsif (/^(\w+)=(\d+)$/) { $figures{$1} = $2 }
	}
	close $out;
	my $status = $?;
	push @wrong, "the judge ended with status $status" if $status != 0 && !@wrong;
	push @wrong, 'the judge gave no verdict' if !exists $figures{wrong};
	return (\%figures, @wrong);
}

sub keep { $_[0]{keep} = 1 }

sub DESTROY {
	my ($self) = @_;
	local ($?, $!, $@);

	if ($self->{pid}) {
		kill KILL => $self->{pid};
		waitpid $self->{pid}, 0;
	}
	if ($self->{keep} || $ENV{GATHER_TEST_KEEP}) {
		print STDERR "# kept: $self->{dir}\n";
	} else {
		File::Path::remove_tree($self->{dir}, { safe => 1 });
	}
	return;
}

1;
