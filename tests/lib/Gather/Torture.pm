# Gather::Torture: what the trials of tests/crash have in common: a daemon that is restarted at once whatever dies, processes
# that die, and the verdict of the ledger at the end.
#
#	my ($daemon, $ledger) = torture_daemon(workers => 2);
#	$daemon->start; $ledger->produce($daemon->socket, rate => 1000);
#	kill_noted($ledger, $pid => 'worker');
#	my ($figures, @wrong) = verdict($daemon, $ledger);
#	report('kills-worker', \@wrong, 'nothing is lost', %$figures);
package Gather::Torture;
use strict;
use warnings;
use Exporter qw(import);
use Gather::Daemon qw(poll_until);
use Gather::Ledger;
use Test::More;
use Time::HiRes qw(time);

our @EXPORT_OK = qw(torture_daemon children is_gone kill_noted kill_family verdict report wait_until_back);

use constant BACK_LIMIT => 30;

# A daemon with a ledger; options as Gather::Daemon takes them, `env` too.
sub torture_daemon {
	my (%options) = @_;
	my $ledger = Gather::Ledger->new;
	my $daemon = Gather::Daemon->new(
		$ledger->conf(
			workers               => 2,
			broker_restarts       => 1_000_000,
			broker_restart_window => '1s',
			worker_restarts       => 1_000_000,
			worker_restart_window => '1s',
			restart_delay         => '1ms',
			restart_delay_max     => '5ms',
			log_level             => 'info',
			%options
		)
	);
	return ($daemon, $ledger);
}

# Direct children of the supervisor: { pid => [role, slot] }.
sub children {
	my ($daemon) = @_;
	my $pid = $daemon->pid // return {};
	my %found;

	open my $in, '<', "/proc/$pid/task/$pid/children" or return {};
	for my $child (split ' ', <$in> // '') {
		Gather::Daemon::command_line($child) =~ /--role (\w+) --slot (\d+)/ and $found{$child} = [$1, $2];
	}
	return \%found;
}

sub is_gone {
	my ($pid) = @_;
	open my $in, '<', "/proc/$pid/stat" or return 1;
	return (<$in> // '') =~ /^\d+ \(.*\) [ZX]/s;
}

# kill -9 of these, { pid => role }, and a note of it.
sub kill_noted {
	my ($ledger, %role) = @_;
	my $sent = Gather::Ledger::now();

	kill KILL => $_ for keys %role;
	for my $pid (keys %role) {
		poll_until(sub { is_gone($pid) }, 10) or die "process $pid outlives kill -9\n";
		$ledger->death($pid, $sent, $role{$pid});
	}
	return;
}

# The supervisor dies, and with it its children; $then follows on their heels. at_once: all of them by a signal of their own.
sub kill_family {
	my ($daemon, $ledger, $then, $at_once) = @_;
	my $all = children($daemon);
	my $sent = Gather::Ledger::now();

	if ($at_once) {
		kill KILL => $_ for sort { rand() <=> 0.5 } $daemon->pid, keys %$all;
	}
	$daemon->kill9;
	$then->() if $then;
	for my $pid (keys %$all) {
		poll_until(sub { is_gone($pid) }, 10) or die "$all->{$pid}[0] $pid outlives its supervisor\n";
		$ledger->death($pid, $sent, $all->{$pid}[0]);
	}
	return;
}

# Seconds until a job was accepted again, after $before of them.
sub wait_until_back {
	my ($daemon, $ledger, $before) = @_;
	my $start = time;

	poll_until(
		sub {
			die 'gatherd has ended: ' . ($daemon->wait_exit(0) // '?') . "\n" if is_gone($daemon->pid);
			return $ledger->progress->{promises} > $before;
		},
		BACK_LIMIT
	) or die "no job was accepted within @{[BACK_LIMIT]} s\n";
	return time - $start;
}

# What ended of itself: a crash is nothing less for being survived.
sub own_deaths {
	my ($daemon) = @_;
	my %seen;

	return grep { !$seen{$_}++ }
		$daemon->log_text =~ /: ((?:broker|worker \d+|sacrificial worker|types)(?= \(pid) .*(?:died of SIG(?!KILL)\w+|exited with status \d+).*)/g;
}

# No more new jobs; what is said of the old ones once all have ended; then the daemon is stopped. (figures, what is wrong)
# $may_die: processes are made to end of themselves.
sub verdict {
	my ($daemon, $ledger, $may_die) = @_;
	my (%figures, @wrong);

	push @wrong, 'submissions stay without an answer: ' . $ledger->complaint unless $ledger->settle;
	if ($daemon->pid && !is_gone($daemon->pid)) {
		$ledger->deaths_of_log($daemon->log_text);
		push @wrong, own_deaths($daemon) unless $may_die;
		my ($judged, @broken) = $ledger->judge($daemon->socket);
		%figures = %$judged;
		push @wrong, @broken;
		my $status = $daemon->stop // 'none';
		push @wrong, "told to stop it ended with $status" if $status ne '0';
	} else {
		push @wrong, 'there is no daemon any more';
	}
	return (\%figures, @wrong);
}

# One test, and a line of figures: what `make torture` sums up.
sub report {
	my ($name, $wrong, $text, @figures) = @_;
	my @shown;

	diag($_) for @$wrong;
	ok(!@$wrong, $text);
	push @shown, shift(@figures) . '=' . (shift(@figures) // 0) while @figures;
	diag("figures $name @shown");
	if ($ENV{GATHER_TORTURE_FIGURES} && open my $out, '>>', $ENV{GATHER_TORTURE_FIGURES}) {
		syswrite $out, "$name @shown\n";
	}
	return !@$wrong;
}

1;
