# Gather::Records: the binary door, by src/wire/PROTOCOL.md and by hand: tests send each byte, and wrong ones, too.
#
#	my $records = Gather::Records->new($daemon->socket);
#	$records->send(submit(7, 'noop', '{}', flags => WANT_ACCEPTED | WANT_RESULT));    # or any bytes
#	my $answer = $records->next;      # { kind => 'ACCEPTED', ref => 7, ... }; undef: the connection has ended
#	$records->ends                    # whether the peer closes, with nothing more to read
package Gather::Records;
use strict;
use warnings;
use Exporter qw(import);
use IO::Select;
use IO::Socket::UNIX;
use Time::HiRes qw(time);

use constant {
	SUBMIT        => 32,
	ACCEPTED      => 33,
	REFUSED       => 34,
	FINISHED      => 35,
	ABORT         => 36,
	REQUEST       => 37,
	RESPONSE      => 38,
	WANT_ACCEPTED => 1,
	WANT_RESULT   => 2,
	HEADER        => 16,
	RECORD_MAX    => 1_114_112,
};
our @EXPORT_OK = qw(record submit request WANT_ACCEPTED WANT_RESULT SUBMIT ABORT REQUEST FINISHED RECORD_MAX);

my %state = (1 => 'ready', 2 => 'running', 3 => 'retrying', 4 => 'succeeded', 5 => 'failed', 6 => 'cancelled');

# A record: fixed fields as bytes, runs as a list; magic, version, flags, size can be given to be wrong.
sub record {
	my ($kind, $ref, $fixed, $runs, %header) = @_;
	my $rest = $fixed . pack('V*', map { length } @$runs) . join '', @$runs;

	return pack('CCCCVQ<', $header{magic} // 0xd7, $header{version} // 1, $kind, $header{flags} // 0,
		$header{size} // HEADER + length $rest, $ref)
		. $rest;
}

sub submit {
	my ($tag, $type, $args, %more) = @_;
	return record(SUBMIT, $tag, '', [ $type, $more{options} // '', $args // '' ],
		flags => $more{flags} // WANT_ACCEPTED | WANT_RESULT);
}

sub request {
	my ($tag, $method, $target, $body) = @_;
	return record(REQUEST, $tag, '', [ $method, $target, $body // '' ]);
}

sub new {
	my ($class, $path) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path) // die "connect $path: $!";
	return bless { socket => $socket, in => '' }, $class;
}

sub handle { return $_[0]{socket} }

# False: the peer doesn't take it all.
sub send {
	my ($self, @bytes) = @_;
	my $bytes = join '', @bytes;
	my $sent = 0;
	local $SIG{PIPE} = 'IGNORE';

	while ($sent < length $bytes) {
		my $n = syswrite($self->{socket}, $bytes, length($bytes) - $sent, $sent) // return 0;
		$sent += $n;
	}
	return 1;
}

# Have at least so many bytes; false at the end of the connection or the time.
sub fill {
	my ($self, $size, $end) = @_;
	my $select = IO::Select->new($self->{socket});

	while (length $self->{in} < $size) {
		my $left = $end - time;
		return 0 if $left <= 0 || !$select->can_read($left);
		my $n = sysread $self->{socket}, $self->{in}, 65536, length $self->{in};
		return 0 unless $n;
	}
	return 1;
}

# Runs, whose sizes start at $at.
sub runs {
	my ($record, $at, @names) = @_;
	my @sizes = unpack 'V' x @names, substr $record, $at, 4 * @names;
	my %runs;

	$at += 4 * @names;
	for my $name (@names) {
		my $size = shift @sizes;
		$runs{$name} = substr $record, $at, $size;
		$at += $size;
	}
	die 'the runs are not as long as the record' if $at != length $record;
	return %runs;
}

sub uuid { return join '-', unpack 'H8H4H4H4H12', $_[0] }

my %decode = (
	ACCEPTED, sub {
		my ($id, $durability) = unpack 'x16 a16 V', $_[0];
		return (kind => 'ACCEPTED', id => uuid($id), durability => $durability);
	},
	REFUSED, sub {
		my ($status, $retry_after_ms) = unpack 'x16 V V', $_[0];
		return (kind => 'REFUSED', status => $status, retry_after_ms => $retry_after_ms,
			runs($_[0], 24, qw(code field message)));
	},
	FINISHED, sub {
		my ($id, $state, $attempts, $elapsed_us) = unpack 'x16 a16 v v V', $_[0];
		return (kind => 'FINISHED', id => uuid($id), state => $state{$state}, attempts => $attempts,
			elapsed_us => $elapsed_us, runs($_[0], 40, qw(code message meta body)));
	},
	RESPONSE, sub {
		return (kind => 'RESPONSE', status => unpack('x16 V', $_[0]), runs($_[0], 20, qw(content_type body)));
	},
);

sub next {
	my ($self, $seconds) = @_;
	my $end = time + ($seconds // 20);

	$self->fill(HEADER, $end) or return undef;
	my ($magic, $version, $kind, undef, $size, $ref) = unpack 'CCCCVQ<', $self->{in};
	die "magic $magic, version $version" if $magic != 0xd7 || $version != 1;
	$self->fill($size, $end) or return undef;
	my $record = substr $self->{in}, 0, $size, '';
	my $decode = $decode{$kind} // die "kind $kind is not for clients";
	return { ref => $ref, $decode->($record) };
}

sub ends {
	my ($self, $seconds) = @_;
	return !$self->fill(length($self->{in}) + 1, time + ($seconds // 10)) && !length $self->{in};
}

sub close {
	my ($self) = @_;
	return close $self->{socket};
}

1;
