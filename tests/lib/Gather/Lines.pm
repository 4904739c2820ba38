# The NDJSON door: one request a line, one answer a line.
package Gather::Lines;
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();

sub new {
	my ($class, $path) = @_;
	my $socket = IO::Socket::UNIX->new(Peer => $path) // die "connect $path: $!";
	return bless { socket => $socket, in => '', json => JSON::PP->new->utf8->canonical->allow_nonref }, $class;
}

sub send_raw {
	my ($self, $bytes) = @_;
	local $SIG{PIPE} = 'IGNORE';
	my $sent = 0;
	while ($sent < length $bytes) {
		my $n = syswrite($self->{socket}, $bytes, length($bytes) - $sent, $sent) // return 0;
		$sent += $n;
	}
	return 1;
}

sub send {
	my ($self, @requests) = @_;
	return $self->send_raw(join '', map { $self->{json}->encode($_) . "\n" } @requests);
}

# The next answer, decoded; undef at the end of the connection or after $seconds.
sub next {
	my ($self, $seconds) = @_;
	my $select = IO::Select->new($self->{socket});
	my $end = time + ($seconds // 20);
	my $end_of_line;
	while (($end_of_line = index $self->{in}, "\n") < 0) {
		return undef if time > $end;
		next unless $select->can_read(0.5);
		my $n = sysread($self->{socket}, $self->{in}, 65536, length $self->{in});
		return undef unless $n;
	}
	my $line = substr $self->{in}, 0, $end_of_line + 1, '';
	return $self->{json}->decode($line);
}

sub ask {
	my ($self, $request) = @_;
	$self->send($request);
	return $self->next;
}

sub close {
	my ($self) = @_;
	close $self->{socket};
}

1;
