# Schedules, and a wall clock that is set while they wait: a preloaded library plays the clock.
use strict;
use warnings;
use Cwd qw(abs_path);
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http_json);
use POSIX qw(strftime);
use Test::More;
use Time::HiRes qw(time);

use constant { DAY => 86400, YEAR => 365 * 86400 };

my $shim = abs_path(Gather::Daemon::build() . '/tests/crash') . '/libshim.so';
my $daemon = Gather::Daemon->new(workers => 1);
my $clock = $daemon->dir . '/clock';

# Set the clock: so many seconds off the real one.
sub set_clock {
	my ($seconds) = @_;
	open my $out, '+>:raw', "$clock.new" or die "$clock: $!";
	close $out;
	open $out, -e $clock ? '+<:raw' : '+>:raw', $clock or die "$clock: $!";
	syswrite $out, pack 'q<', int($seconds * 1_000_000_000);    # in place: it is mapped
	close $out;
	return;
}

sub put {
	my ($name, $schedule, %more) = @_;
	return (http_json($daemon->socket, 'PUT', "/v1/schedules/$name",
		{ schedule => $schedule, job => { type => 'noop', tags => [$name] }, %more }))[1];
}

sub schedule { return (http_json($daemon->socket, 'GET', "/v1/schedules/$_[0]"))[1] }

sub jobs {
	my (undef, $page) = http_json($daemon->socket, 'GET', "/v1/jobs?tag=$_[0]&limit=1000");
	return scalar @{ $page->{jobs} };
}

sub year { return ($_[0] // schedule('skip'))->{next_at} =~ /^(\d+)/ ? $1 : 0 }

set_clock(0);
$daemon->{env} = { LD_PRELOAD => $shim, GATHER_TEST_CLOCK => $clock };
$daemon->start;

my $this_year = strftime('%Y', gmtime);
my $start = time;
put('pulse', { every => '1s' });
put($_, { cron => '0 0 1 1 *' }, missed => $_) for qw(skip once);
is(year(), $this_year + 1, 'due next year');

set_clock(10 * YEAR + 5 * DAY);
ok(poll_until(sub { year() > $this_year + 9 }), 'ten years later it is reckoned anew');
is(jobs('skip'), 0, 'what the clock jumped over is passed over');
ok(poll_until(sub { jobs('once') == 1 }), 'or made good, once');
like(schedule('once')->{last_at}, qr/^@{[$this_year + 1]}-01-01T00:00:00/, 'for the first time that was missed');

set_clock(0);
ok(poll_until(sub { year() == $this_year + 1 }), 'set back, it is due sooner again');
is(year(schedule('once')), $this_year + 1, 'the other, too');
is(jobs('once'), 1, 'and nothing is run for it');

# Two seconds before three o'clock of some day.
put('three', { cron => '0 3 * * *', tz => 'UTC' });
my $three = int((time + 30 * DAY) / DAY) * DAY + 3 * 3600;
my $at = strftime('%Y-%m-%dT%H:%M:%S.000Z', gmtime $three);
set_clock($three - 2 - time);
ok(poll_until(sub { schedule('three')->{next_at} eq $at }), 'just before its time it is due');
is(jobs('three'), 0, 'and not run');
ok(poll_until(sub { jobs('three') == 1 }, 5), 'at its time by the new clock it is');
is(schedule('three')->{last_at}, $at, 'for that time');
set_clock($three - 2 - time);
ok(poll_until(sub { schedule('three')->{next_at} eq $at }), 'set back before it, it is due again');
ok(poll_until(sub { schedule('three')->{next_at} ne $at }), 'and comes again');
is(jobs('three'), 1, 'but that is the same firing, and the same job');
is(schedule('three')->{runs}, 1, 'which counts once');

# A job that is to run an hour from now, and one after an hour.
set_clock(0);
my $in_an_hour = strftime('%Y-%m-%dT%H:%M:%SZ', gmtime(time + 3600));
my ($instant, $delay) = map { (http_json($daemon->socket, 'POST', '/v1/jobs', { type => 'noop', %$_ }))[1]{id} }
	({ run_at => $in_an_hour }, { delay => '1h' });
set_clock(3601);
ok(poll_until(sub { (http_json($daemon->socket, 'GET', "/v1/jobs/$instant"))[1]{state} eq 'succeeded' }),
	'an instant comes earlier when the clock is set to it');
is((http_json($daemon->socket, 'GET', "/v1/jobs/$delay"))[1]{state}, 'scheduled', 'a delay does not');

my $seconds = time - $start;
my $pulses = jobs('pulse');
cmp_ok($pulses, '>=', $seconds - 3, 'elapsed time goes on through it all');
cmp_ok($pulses, '<=', $seconds + 1, 'at its pace');
is($daemon->stop, 0, 'it stops');
done_testing;
