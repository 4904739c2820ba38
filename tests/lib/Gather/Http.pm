# HTTP/1.1 over the daemon's Unix socket, by hand: tests see each byte, and can send wrong ones.
package Gather::Http;
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use Exporter 'import';

our @EXPORT_OK = qw(http http_json raw_http);

sub connect_to {
	my ($path) = @_;
	return IO::Socket::UNIX->new(Peer => $path) // die "connect $path: $!";
}

# Read until the peer closes, or $done->($text) holds; at most $seconds.
sub read_until {
	my ($socket, $seconds, $done) = @_;
	my $select = IO::Select->new($socket);
	my $text = '';
	my $end = time + $seconds;
	until ($done->($text)) {
		last if time > $end || !$select->can_read(1) && time > $end;
		next unless $select->can_read(0);
		my $n = sysread($socket, $text, 65536, length $text);
		last unless $n;
	}
	return $text;
}

sub is_complete {
	my ($text) = @_;
	my $head_end = index($text, "\r\n\r\n");
	return 0 if $head_end < 0;
	my ($length) = substr($text, 0, $head_end) =~ /^Content-Length:\s*(\d+)/mi;
	return defined $length && length($text) >= $head_end + 4 + $length;
}

# Send bytes as they are; the whole answer as text.
sub raw_http {
	my ($path, $bytes, $seconds) = @_;
	my $socket = connect_to($path);
	local $SIG{PIPE} = 'IGNORE';
	$socket->syswrite($bytes) if length $bytes;
	return read_until($socket, $seconds // 10, \&is_complete);
}

# {status, headers (lower-case names), body}
sub http {
	my ($path, $method, $target, $body, %headers) = @_;
	my $request = "$method $target HTTP/1.1\r\nHost: localhost\r\n";
	$headers{'Content-Length'} = length $body if defined $body;
	$request .= "$_: $headers{$_}\r\n" for sort keys %headers;
	my $text = raw_http($path, "$request\r\n" . ($body // ''), 30);
	my ($head, $rest) = split /\r\n\r\n/, $text, 2;
	my ($status) = ($head // '') =~ m{^HTTP/1\.1 (\d+)};
	my %answered = map { /^([^:]+):\s*(.*)$/ ? (lc $1, $2) : () } split /\r\n/, $head // '';
	return { status => $status // 0, headers => \%answered, body => $rest // '' };
}

# The same, with data in and data out: (status, decoded body).
sub http_json {
	my ($path, $method, $target, $data) = @_;
	my $json = JSON::PP->new->utf8->canonical->allow_nonref;
	my $answer = http($path, $method, $target, defined $data ? $json->encode($data) : undef,
		defined $data ? ('Content-Type' => 'application/json') : ());
	my $decoded = eval { $json->decode($answer->{body}) };
	return ($answer->{status}, $decoded);
}

1;
