# Gather::Cli: the program `gather` as a user's shell would run it.
#
#	my $cli = Gather::Cli->new(socket => $daemon->socket);    # or none: --local
#	my $did = $cli->run('run', 'noop');                       # { status, out, err, seconds }
#	my $did = $cli->run({ stdin => "a\nb\n" }, 'map', ...);   # env => {...}, dir => ..., program => ..., limit => seconds
#	my $process = $cli->start('run', 'sleep', 'seconds=9');   # goes on; ->pid, ->out, ->err, ->signal('INT'), ->wait
#
# status: 0..255, 'SIGn' after a signal, undef when it had to be killed at the limit. TMPDIR is a directory of its own,
# $cli->tmp: what --local leaves is found there.
package Gather::Cli;
use strict;
use warnings;
use Cwd qw(abs_path);
use Exporter qw(import);
use File::Temp ();
use Gather::Daemon qw(poll_until);
use JSON::PP ();
use POSIX qw(:sys_wait_h _exit);
use Time::HiRes qw(time);

our @EXPORT_OK = qw(json_lines from_json);

use constant LIMIT => $ENV{GATHER_TEST_LIMIT} // 60;

sub new {
	my ($class, %options) = @_;
	return bless {
		program => abs_path(Gather::Daemon::build()) . '/bin/gather',
		socket  => $options{socket},
		env     => $options{env} // {},
		dir     => File::Temp->newdir('gather-cli-XXXXXXXX', TMPDIR => 1),
		serial  => 0,
	}, $class;
}

sub program { return $_[0]{program} }

sub tmp {
	my ($self) = @_;
	my $tmp = "$self->{dir}/tmp";
	mkdir $tmp;
	return $tmp;
}

# What is in the directory for temporary files now.
sub leftovers {
	my ($self) = @_;
	opendir my $in, $self->tmp or die $self->tmp . ": $!";
	return grep { !/^\.\.?$/ } readdir $in;
}

sub run {
	my ($self, @arguments) = @_;
	return $self->start(@arguments)->wait;
}

sub start {
	my ($self, @arguments) = @_;
	my %options = ref $arguments[0] ? %{ shift @arguments } : ();
	my $files = "$self->{dir}/" . ++$self->{serial};
	my %env = (TMPDIR => $self->tmp, GATHER_SOCKET => $self->{socket}, XDG_RUNTIME_DIR => undef, %{ $self->{env} },
		%{ $options{env} // {} });

	if (defined $options{stdin}) {
		open my $in, '>:raw', "$files.in" or die "$files.in: $!";
		print $in $options{stdin};
		close $in or die "$files.in: $!";
	}
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		defined $env{$_} ? ($ENV{$_} = $env{$_}) : delete $ENV{$_} for keys %env;
		open STDIN,  '<', defined $options{stdin} ? "$files.in" : '/dev/null';
		open STDOUT, '>', "$files.out";
		open STDERR, '>', "$files.err";
		chdir $options{dir} or _exit(126) if $options{dir};
		$options{before}->() if $options{before};
		my $program = $options{program} // $self->{program};
		exec { $program } $program, @arguments or _exit(127);
	}
	return bless {
		pid => $pid, top => $pid, files => $files, start => time, limit => $options{limit} // LIMIT, owner => $self
	}, 'Gather::Cli::Process';
}

sub from_json { return JSON::PP->new->utf8->allow_nonref->decode($_[0]) }

# Each line of a text as data.
sub json_lines { return map { from_json($_) } split /\n/, $_[0] }

package Gather::Cli::Process;
use POSIX qw(:sys_wait_h);
use Time::HiRes qw(time);

sub pid { return $_[0]{pid} }
sub out { return Gather::Cli::Process::slurp("$_[0]{files}.out") }
sub err { return Gather::Cli::Process::slurp("$_[0]{files}.err") }

sub slurp {
	my ($path) = @_;
	open my $in, '<:raw', $path or return '';
	local $/;
	return <$in> // '';
}

sub signal {
	my ($self, $name) = @_;
	return kill $name => $self->{pid};
}

sub wait {
	my ($self) = @_;
	my $status;

	if (Gather::Daemon::poll_until(sub { waitpid($self->{pid}, WNOHANG) == $self->{pid} }, $self->{limit})) {
		$status = WIFSIGNALED($?) ? 'SIG' . WTERMSIG($?) : WEXITSTATUS($?);
	} else {
		kill KILL => $self->{pid};
		waitpid $self->{pid}, 0;
	}
	delete $self->{pid};
	return { status => $status, out => $self->out, err => $self->err, seconds => time - $self->{start} };
}

sub DESTROY {
	my ($self) = @_;
	local ($?, $!, $@);

	return unless $self->{pid};
	kill KILL => $self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

1;
