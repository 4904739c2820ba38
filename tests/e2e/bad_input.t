# Bad input and bad manners on both of the daemon's sockets: it serves on, and its memory stays bounded.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json raw_http);
use Gather::Lines;
use Gather::Records qw(request);
use IO::Select;
use IO::Socket::UNIX;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $daemon = Gather::Daemon->new(workers => 2)->start;
my $socket = $daemon->socket;
my $broker = ($daemon->role_pids('broker'))[0];
my @workers = $daemon->role_pids('worker');
poll_until(sub { http($socket, 'GET', '/readyz')->{status} == 200 });

# The daemon serves on, with the same processes.
sub serves_on {
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	is(http($socket, 'GET', '/healthz')->{status}, 200, "$name: the daemon serves on");
	my (undef, $job) = http_json($socket, 'POST', '/v1/jobs?wait=20s', { type => 'noop' });
	is($job->{state}, 'succeeded', '... jobs run');
	is_deeply([ $daemon->role_pids('broker'), $daemon->role_pids('worker') ], [ $broker, @workers ], '... in the same processes');
	return;
}

sub memory_mib {
	open my $in, '<', "/proc/$broker/status" or die "status: $!";
	my ($kib) = map { /^VmRSS:\s+(\d+)/ } <$in>;
	return $kib / 1024;
}

sub connections { return (http_json($socket, 'GET', '/v1/stats'))[1]{connections} }

# Write until it's done, or the peer takes nothing for $patience seconds: how many bytes went.
sub push_bytes {
	my ($out, $bytes, $patience) = @_;
	my $select = IO::Select->new($out);
	my $sent = 0;
	local $SIG{PIPE} = 'IGNORE';

	$out->blocking(0);
	while ($sent < length $bytes && $select->can_write($patience)) {
		my $n = syswrite $out, $bytes, 1 << 20, $sent;
		last if !defined $n && !$!{EAGAIN};
		$sent += $n // 0;
	}
	return $sent;
}

subtest 'lines' => sub {
	for my $case (
		[ '100,000 [',              '[' x 100_000,                         qr/^(bad_json|bad_request)$/ ],
		[ '100,000 { deep',         '{"a":' x 100_000,                     qr/^bad_json$/ ],
		[ 'args 33 deep',           '{"type":"noop","args":' . '{"a":' x 33 . '1' . '}' x 34, qr/./ ],
		[ 'a lone surrogate',       '{"type":"noop","args":{"echo":"\ud800"}}', qr/./ ],
		[ 'overlong UTF-8',         "{\"type\":\"noop\",\"args\":{\"echo\":\"\xc0\xaf\"}}", qr/./ ],
		[ '1e999',                  '{"type":"noop","priority":1e999}',    qr/./ ],
		[ '2^64',                   '{"type":"noop","priority":18446744073709551616}', qr/./ ],
		[ 'NaN',                    '{"type":"noop","priority":NaN}',      qr/^bad_json$/ ],
		[ 'duplicate keys',         '{"type":"noop","type":"noop"}',       qr/./ ],
		[ 'two objects on a line',  '{"type":"noop"}{"type":"noop"}',      qr/./ ],
		[ 'an endless timeout',     '{"type":"noop","timeout":9223372036854775807}', qr/./ ],
		[ 'a name with ESC',        "{\"type\":\"\e[31mnoop\"}",           qr/./ ],
		[ 'a number',               '5',                                   qr/./ ],
		[ 'an op that is none',     '{"op":5}',                            qr/./ ],
	) {
		my ($name, $line, $code) = @$case;
		my $lines = Gather::Lines->new($socket);
		# The first byte of a connection says which door it is; lines begin with {.
		$lines->send_raw("{\"op\":\"stats\"}\n$line\n{\"type\":\"noop\"}\n");
		$lines->next;
		my $answer = $lines->next;
		like($answer->{error}{code} // 'none', $code, "$name: refused") or diag(explain($answer));
		unlike($answer->{error}{detail} // '', qr/[\x00-\x1f]/, "$name: said without control characters");
		ok($lines->next->{id}, "$name: the next line is taken");
	}
	my $deep = Gather::Lines->new($socket);
	$deep->send_raw('{"type":"noop","args":{"echo":' . '[' x 28 . ']' x 28 . "}}\n");
	ok($deep->next->{id}, '30 deep is not too deep');
	my $bare = Gather::Lines->new($socket);
	$bare->send_raw("{}\n{\"type\":\"noop\"}\r\n\n\r\n{\"type\":\"noop\"}\n");
	is($bare->next->{error}{field}, 'type', 'an empty object');
	ok($bare->next->{id} && $bare->next->{id}, 'CRLF and empty lines are taken as people send them');
	serves_on('bad lines');
};

subtest 'a file that is cut off anywhere' => sub {
	my $line = '{"type":"noop","args":{"echo":[1,"\u00e4",null]},"tag":"t","wait":true}';
	for my $size (1 .. length($line) - 1) {
		my $lines = Gather::Lines->new($socket);
		$lines->send_raw(substr($line, 0, $size) . "\n");
		my $answer = $lines->next;
		ok($answer->{error}, "the first $size bytes: refused") unless $answer->{error};
		my $gone = Gather::Lines->new($socket);
		$gone->send_raw(substr $line, 0, $size);
		$gone->close;
	}
	ok(poll_until(sub { connections() <= 1 }), 'no connection stays');
	serves_on('lines cut off');
};

subtest 'doors mixed up' => sub {
	my $lines = Gather::Lines->new($socket);
	$lines->send_raw("{\"type\":\"noop\"}\nPOST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"type\":\"noop\"}\n");
	my @answers = map { $lines->next } 1 .. 5;
	ok($answers[0]{id}, 'lines, then HTTP: the line is taken');
	is((grep { $_ && $_->{error} } @answers), 3, '... the HTTP lines are refused one by one');
	my $answer = raw_http($socket, "GET /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n{\"type\":\"noop\"}\n\r\n\r\n");
	like($answer, qr{^HTTP/1\.1 200}, 'HTTP, then lines: the request is answered');
	for my $case (
		[ 'h2 preface', "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" ],
		[ 'SSH',        "SSH-2.0-OpenSSH_9.2\r\n\r\n" ],
		[ 'SMTP',       "EHLO x\r\nMAIL FROM:<x>\r\n\r\n" ],
	) {
		my $peer = Gather::Http::connect_to($socket);
		push_bytes($peer, $case->[1], 5);
		my $text = Gather::Http::read_until($peer, 10, \&Gather::Http::is_complete);
		like($text, qr{^(HTTP/1\.[01] [45]\d\d |$)}, "$case->[0]: an error, or nothing");
	}
	for my $bytes (qq([{"type":"noop"}]\n), qq(\xef\xbb\xbf{"op":"stats"}\n), qq( {"op":"stats"}\n), "\0" x 1000,
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" . 'x' x 500, "\xff\0\0\0\0\0\0\0\1\x7f\3\0NULL" . "\0" x 48)
	{
		my $peer = Gather::Http::connect_to($socket);
		push_bytes($peer, $bytes, 5);
		my $text = Gather::Http::read_until($peer, 10, \&Gather::Http::is_complete);
		like($text, qr{^HTTP/1\.1 400 .*"unknown_protocol"}s, sprintf 'a first byte of 0x%02x: an error that says so', ord $bytes);
	}
	# Without an end of the head there is no answer either: they may wait.
	my @waiting;
	for my $bytes ('GET / HTTP/1.1', "\r\n" x 1000)
	{
		push @waiting, Gather::Http::connect_to($socket);
		push_bytes($waiting[-1], $bytes, 5);
		$waiting[-1]->shutdown(1) if @waiting % 2;
	}
	serves_on('doors mixed up');
};

subtest 'HTTP that goes too far' => sub {
	my $host = "Host: x\r\n";
	my $chunked = "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n";
	my %cases = (
		'a URI of 1 MiB'       => 'GET /' . 'x' x (1 << 20) . " HTTP/1.1\r\n$host\r\n",
		'100,000 headers'      => "GET / HTTP/1.1\r\n$host" . "X: y\r\n" x 100_000 . "\r\n",
		'a header of 1 MiB'    => "GET / HTTP/1.1\r\n${host}X: " . 'y' x (1 << 20) . "\r\n\r\n",
		'a negative length'    => "POST /v1/jobs HTTP/1.1\r\n${host}Content-Length: -1\r\n\r\n",
		'a length of 2^64'     => "POST /v1/jobs HTTP/1.1\r\n${host}Content-Length: 18446744073709551616\r\n\r\n",
		'a length with a plus' => "POST /v1/jobs HTTP/1.1\r\n${host}Content-Length: +5\r\n\r\nxxxxx",
		'a chunk of 2^64'      => "POST /v1/jobs HTTP/1.1\r\n$host$chunked\r\n10000000000000000\r\nx",
		'a blank in a name'    => "GET /healthz HTTP/1.1\r\nHost : x\r\n\r\n",
		'a header of no value' => "GET /healthz HTTP/1.1\r\n${host}X\r\n\r\n",
		'TRACE'                => "TRACE / HTTP/1.1\r\n$host\r\n",
		'no method'            => " / HTTP/1.1\r\n$host\r\n",
	);
	for my $name (sort keys %cases) {
		my $peer = Gather::Http::connect_to($socket);
		push_bytes($peer, $cases{$name}, 5);
		my $text = Gather::Http::read_until($peer, 10, \&Gather::Http::is_complete);
		like($text, qr{^(HTTP/1\.1 (400|404|405|413|414|431|501) |$)}, "$name: refused");
	}
	my $expecting = Gather::Http::connect_to($socket);
	push_bytes($expecting, "POST /v1/jobs HTTP/1.1\r\n${host}Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n", 5);
	my $answer = Gather::Http::read_until($expecting, 10, sub { $_[0] =~ /\r\n\r\n/ });
	like($answer, qr{^HTTP/1\.1 (100|4\d\d)}, 'Expect without its body');
	my $pipe = Gather::Http::connect_to($socket);
	push_bytes($pipe, "GET /healthz HTTP/1.1\r\n$host\r\n" x 1000, 10);
	my $answers = sub { return scalar(() = $_[0] =~ m{HTTP/1\.1 200}g) };
	my $all = Gather::Http::read_until($pipe, 20, sub { $answers->($_[0]) == 1000 });
	is($answers->($all), 1000, 'a thousand requests in one go are answered');
	serves_on('HTTP that goes too far');
};

subtest '100 MB without an end' => sub {
	my $before = memory_mib();
	my $line = Gather::Http::connect_to($socket);
	my $sent = push_bytes($line, '{"type":"' . 'x' x 100_000_000, 5);
	cmp_ok($sent, '<', 100_000_000, sprintf 'a line: it stops listening (after %.1f MB)', $sent / 1e6);
	like(Gather::Http::read_until($line, 5, sub { $_[0] =~ /\n/ }), qr/line_too_long|^$/, '... and says so, if anybody listens');
	cmp_ok(memory_mib() - $before, '<', 32, '... and keeps nothing of it');
	my $body = Gather::Http::connect_to($socket);
	$sent = push_bytes($body, "POST /v1/jobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n" . 'x' x 100_000_000, 5);
	like(Gather::Http::read_until($body, 5, \&Gather::Http::is_complete), qr{^(HTTP/1\.1 413 |$)}, 'a body: refused');
	cmp_ok(memory_mib() - $before, '<', 48, '... and not kept');
	serves_on('100 MB');
};

subtest 'who never reads' => sub {
	my $before = memory_mib();
	my @peers;
	# Answers of 20 KB and more to requests of 30 bytes.
	my $echo = '{"type":"noop","wait":true,"args":{"echo":"' . 'x' x 1000 . qq("}}\n);
	my %requests = (
		'lines'             => qq({"op":"types"}\n) x 200_000,
		'lines with a wait' => $echo x 50_000,
		'records'           => request(1, 'GET', '/v1/types') x 100_000,
	);
	for my $name (sort keys %requests) {
		push @peers, Gather::Http::connect_to($socket);
		my $sent = push_bytes($peers[-1], $requests{$name}, 1);
		cmp_ok($sent, '<', length $requests{$name}, sprintf '%s: not listened to any more (after %d KB)', $name, $sent / 1000);
	}
	my $grown = memory_mib() - $before;
	note(sprintf 'grown by %.0f MiB', $grown);
	cmp_ok($grown, '<', 64, 'and memory stays bounded');
	serves_on('while it does not read');
	close $_ for @peers;
	ok(poll_until(sub { connections() <= 1 }), 'it leaves');
	serves_on('when it has left');
};

subtest 'a crowd that says nothing' => sub {
	my $before = memory_mib();
	my @idle = map { Gather::Http::connect_to($socket) } 1 .. 500;
	my $slow = Gather::Http::connect_to($socket);
	my @times;
	my $request = "{\"type\":\"noop\",\"wait\":true,\"tag\":\"slow\"}\n";
	for my $byte (split //, $request) {
		syswrite $slow, $byte;
		my $start = time;
		http($socket, 'GET', '/healthz');
		push @times, time - $start;
	}
	@times = sort { $a <=> $b } @times;
	note(sprintf 'healthz beside it: %.1f ms at the median', 1000 * $times[ @times / 2 ]);
	cmp_ok($times[ @times / 2 ], '<', 1, 'others are served at once');
	like(Gather::Http::read_until($slow, 10, sub { $_[0] =~ /\n/ }), qr/"tag":"slow".*succeeded/,
		'a byte at a time is a job in the end');
	cmp_ok(memory_mib() - $before, '<', 32, 'five hundred cost little');
	serves_on('with a crowd');
	close $_ for @idle;
	close $slow;
	ok(poll_until(sub { connections() <= 1 }), 'they leave');
};

subtest "strangers at the workers' socket" => sub {
	my $path = $daemon->dir . '/run/workers.sock';
	ok(-S $path, 'it is there');
	is((stat $path)[2] & 022, 0, 'for its owner only');
	my $greeting = pack('C10', 0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f) . "\3\0NULL" . "\0" x 16 . "\0" . "\0" x 31;
	my $ready = "\5READY" . "\x0bSocket-Type" . pack('N', 6) . 'DEALER' . "\x08Identity" . pack('N', 5) . 'other';
	my $hello = $greeting . "\4" . chr(length $ready) . $ready;
	my $frame = sub { my ($bytes) = @_; return "\2" . pack('Q>', length $bytes) . $bytes };
	srand 7;
	my %cases = (
		'nothing'                  => '',
		'random bytes'             => join('', map { chr int rand 256 } 1 .. 10_000),
		'half a greeting'          => substr($greeting, 0, 20),
		'a greeting and garbage'   => $greeting . "\xff" x 1000,
		'HTTP'                     => "GET / HTTP/1.1\r\n\r\n",
		'a frame of 2^63'          => $hello . "\2" . pack('Q>', 2**63) . 'x',
		'an empty message'         => $hello . "\0\0",
		'a name that is no worker' => $hello . $frame->(pack 'CCCCVQ<', 0xd7, 1, 1, 0, 16, 0),
		'garbage as a message'     => $hello . $frame->('x' x 100_000),
		'a thousand frames'        => $hello . "\1\1x" x 1000 . "\0\1x",
		'10 MB as a message'       => $hello . $frame->('x' x 10_000_000),
	);
	for my $name (sort keys %cases) {
		my $peer = IO::Socket::UNIX->new(Peer => $path) // die "connect $path: $!";
		push_bytes($peer, $cases{$name}, 1);
		serves_on($name);
	}
	my @crowd = map { IO::Socket::UNIX->new(Peer => $path) } 1 .. 200;
	serves_on('200 of them');
};

is($daemon->stop, 0, 'the daemon stops');
$daemon->log_unlike(qr/died of|gives no sign/, 'nothing died or hung');
done_testing;
