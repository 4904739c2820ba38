# The broker at its edges: what clients may do wrong, or leave undone, without harm to others.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json raw_http);
use Gather::Lines;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(sleep time);

my $daemon = Gather::Daemon->new(workers => 1)->start;
my $socket = $daemon->socket;

# A record as PROTOCOL.md has it: kind, ref, and counted runs of bytes.
sub record {
	my ($kind, $flags, $ref, @runs) = @_;
	my $rest = join('', map { pack 'V', length } @runs) . join '', @runs;
	return pack('CCCCVQ<', 0xd7, 1, $kind, $flags, 16 + length $rest, $ref) . $rest;
}

# The next record of a connection: (kind, ref, all behind the header).
sub next_record {
	my ($in) = @_;
	my $read = sub {
		my ($size) = @_;
		my $bytes = '';
		while (length $bytes < $size) {
			sysread($in, $bytes, $size - length $bytes, length $bytes) or die 'the connection ended';
		}
		return $bytes;
	};
	my (undef, undef, $kind, undef, $size, $ref) = unpack 'CCCCVQ<', $read->(16);
	return ($kind, $ref, $read->($size - 16));
}

sub broker_pid { return ($daemon->role_pids('broker'))[0] }

sub memory_kib {
	my $pid = broker_pid();
	open my $in, '<', "/proc/$pid/status" or die "status: $!";
	my ($peak) = map { /^VmHWM:\s+(\d+)/ } <$in>;
	return $peak;
}

subtest 'a verb that waits, on each door' => sub {
	my (undef, $job) = http_json($socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 0.2 } });
	my $lines = Gather::Lines->new($socket);
	is($lines->ask({ op => 'show', id => $job->{id}, wait => '10s' })->{state}, 'succeeded', 'lines');
	(undef, $job) = http_json($socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 0.2 } });
	my $records = Gather::Http::connect_to($socket);
	$records->syswrite(record(37, 0, 7, 'GET', "/v1/jobs/$job->{id}?wait=10s", ''));
	my ($kind, $ref, $body) = next_record($records);
	is($kind, 38, 'records: an answer');
	is($ref, 7, 'to this request');
	like($body, qr/"state":"succeeded"/, 'when the job has ended');
};

subtest 'a wait that is wrong starts nothing' => sub {
	my (undef, $before) = http_json($socket, 'GET', '/v1/stats');
	my ($status) = http_json($socket, 'POST', '/v1/run/noop?wait=soon', {});
	is($status, 400, 'refused');
	my (undef, $after) = http_json($socket, 'GET', '/v1/stats');
	is($after->{totals}{submitted}, $before->{totals}{submitted}, 'and no job was accepted');
};

subtest 'targets' => sub {
	is(http($socket, 'GET', '/v1/jobs%00x')->{status}, 400, 'an encoded NUL in the path');
	my ($status, $problem) = http_json($socket, 'GET', '/v1/jobs?state=%2572eady');
	is($status, 400, 'what is encoded twice is decoded once');
	like($problem->{detail}, qr/%72eady/, 'as the refusal shows');
};

subtest 'credentials are not shown' => sub {
	my $lines = Gather::Lines->new($socket);
	my $job = $lines->ask({
		type => 'http', wait => JSON::PP::true, retries => 0,
		args => { url => 'http://me:canary@127.0.0.1:1/', headers => { Authorization => 'Bearer canary', Accept => 'a/b' } }
	});
	is($job->{args}{url}, 'http://[redacted]@127.0.0.1:1/', 'the password in a URL');
	is_deeply($job->{args}{headers}, { Authorization => '[redacted]', Accept => 'a/b' }, 'a header that authorizes');
	unlike(http($socket, 'GET', "/v1/jobs/$job->{id}")->{body}, qr/canary/, 'nor on the other door');
	unlike($daemon->log_text, qr/canary/, 'nor in the log');
};

subtest 'ops say what they do not take' => sub {
	my $lines = Gather::Lines->new($socket);
	is($lines->ask({ op => 'list', states => 'ready' })->{error}{field}, 'states', 'an unknown field');
	is($lines->ask({ op => 'list', limit => [] })->{error}{field}, 'limit', 'a list as a limit');
	is($lines->ask({ op => 'list', state => 'a&limit=1' })->{error}{field}, 'state', 'an & stays in its value');
	is($lines->ask({ op => 'show', id => "01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70/result" })->{error}{field},
		'id', 'a path is no id');
	is($lines->ask({ type => 'noop', tag => 'x' x 300 })->{error}{field}, 'tag', 'a long tag');
};

subtest 'pages go on behind a job that has left' => sub {
	my $lines = Gather::Lines->new($socket);
	my @ids = map { $lines->ask({ type => 'noop', wait => JSON::PP::true, queue => 'pages' })->{id} } 1 .. 2;
	my $short = $lines->ask(
		{ type => 'noop', wait => JSON::PP::true, queue => 'pages', result_ttl => 1 })->{id};
	my $newest = $lines->ask({ op => 'list', queue => 'pages', limit => 1 });
	is($newest->{jobs}[0]{id}, $short, 'the newest comes first');
	ok(poll_until(sub { ($lines->ask({ op => 'show', id => $short })->{error}{code} // '') eq 'gone' }),
		'it is gone');
	my $page = $lines->ask({ op => 'list', queue => 'pages', cursor => $newest->{cursor} });
	is_deeply([ map { $_->{id} } @{ $page->{jobs} } ], [ reverse @ids ], 'and those before it are listed');
	is($page->{cursor}, undef, 'to the end');
};

subtest 'an upload with a line that is too long' => sub {
	my $long = '{"type":"noop","args":{"x":"' . 'y' x (2 << 20) . '"}}';
	my $answer = http($socket, 'POST', '/v1/jobs', qq({"type":"noop"}\n$long\n{"type":"noop"}\n),
		'Content-Type' => 'application/x-ndjson');
	my @lines = map { JSON::PP::decode_json($_) } split /\n/, $answer->{body};
	is($lines[1]{error}{code}, 'line_too_long', 'names it');
	ok($lines[0]{id} && $lines[2]{id}, 'and takes the others');
	$answer = http($socket, 'POST', '/v1/run/noop', '{"x":"' . 'y' x (2 << 20) . '"}',
		'Content-Type' => 'application/x-ndjson');
	like($answer->{body}, qr/args_too_large/, 'arguments that fit into no record are refused, too');
};

subtest 'a flood of requests whose answers nobody reads' => sub {
	my $lines = Gather::Lines->new($socket);
	$lines->ask({ type => 'noop', queue => "flood$_" }) for 1 .. 1000;
	my $before = memory_kib();
	my $flood = Gather::Http::connect_to($socket);
	$flood->blocking(0);
	my $bytes = qq({"op":"list","limit":1000}\n) x 10000;
	my ($sent, $end) = (0, time + 10);
	while ($sent < length $bytes && time < $end) {
		my $n = syswrite $flood, $bytes, length($bytes) - $sent, $sent;
		$n ? $sent += $n : last if defined $n;
		last unless defined $n || $!{EAGAIN};
		last if !defined $n && $sent > 100_000;
		sleep 0.01 unless defined $n;
	}
	for (1 .. 20) {
		is($lines->ask({ op => 'stats' })->{epoch}, 1, 'others are served') if $_ == 20;
		$lines->ask({ op => 'stats' });
	}
	cmp_ok(memory_kib() - $before, '<', 64 << 10, 'and the memory stays bounded');
	my ($got, $buffer) = (0, '');
	my $select = IO::Select->new($flood);
	while ($got < 100 && $select->can_read(5)) {
		sysread $flood, $buffer, 1 << 20 or last;
		$got += $buffer =~ tr/\n//;
	}
	is($got >= 100, 1, 'who reads at last gets the answers');
};

subtest 'an HTTP client that leaves while it waits' => sub {
	my $connections = sub { (http_json($socket, 'GET', '/v1/stats'))[1]{connections} };
	my $before = $connections->();
	my @waiting = map { Gather::Http::connect_to($socket) } 1 .. 10;
	$_->syswrite("POST /v1/run/sleep HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"seconds\": 50}") for @waiting;
	ok(poll_until(sub { $connections->() >= $before + 10 }), 'ten wait');
	close $_ for @waiting;
	ok(poll_until(sub { $connections->() <= $before }), 'their connections are closed long before the jobs end');
};

subtest 'a full house' => sub {
	my $small = Gather::Daemon->new(workers => 1, max_connections => 3)->start;
	my @in = map { Gather::Http::connect_to($small->socket) } 1 .. 3;
	$_->syswrite("POST /v1/run/sleep HTTP/1.1\r\nHost: x\r\nContent-Length: 15\r\n\r\n{\"seconds\": 50}") for @in;
	my $answer;
	ok(poll_until(sub { $answer = raw_http($small->socket, '', 5); $answer =~ / 503 / }), 'the fourth is turned away');
	my ($head, $body) = split /\r\n\r\n/, $answer, 2;
	my ($length) = $head =~ /Content-Length: (\d+)/;
	is(length $body, $length, 'with an answer as long as it says');
	close $_ for @in;
	ok(poll_until(sub { http($small->socket, 'GET', '/healthz')->{status} == 200 }), 'there is room again');
};

subtest 'arguments take no more memory than they may' => sub {
	my $small = Gather::Daemon->new(workers => 1, store => 'none', args_bytes => '1MiB', 'capacity.net' => 1)->start;
	my $job = { type => 'http', args => { url => 'http://127.0.0.1:1/', body => 'x' x 300_000 }, queue => 'full' };
	my (undef, $busy) = http_json($small->socket, 'POST', '/v1/jobs', { type => 'sleep', args => { seconds => 60 } });
	my $lines = Gather::Lines->new($small->socket);
	$small->signal('STOP');
	kill STOP => $small->worker_pid(0);
	my @answers = map { $lines->ask($job) } 1 .. 4;
	is($answers[3]{error}{code}, 'too_many_bytes', 'the fourth does not fit');
	is(scalar(grep { $_->{id} } @answers), 3, 'three do');
	is($lines->ask({ op => 'cancel', id => $busy->{id} })->{id}, $busy->{id}, 'other verbs are served');
	kill CONT => $small->worker_pid(0);
	$small->signal('CONT');
	ok(poll_until(sub { $lines->ask($job)->{id} }), 'there is room again when they have ended');
};

subtest 'results on their way when it stops' => sub {
	my $stopping = Gather::Daemon->new(workers => 1)->start;
	my $lines = Gather::Lines->new($stopping->socket);
	$lines->send(map { { type => 'sleep', args => { seconds => 0.5 }, wait => JSON::PP::true, tag => $_ } } 1 .. 500);
	ok(poll_until(sub { (http_json($stopping->socket, 'GET', '/v1/stats'))[1]{jobs}{running} == 500 }), 'all run');
	$stopping->signal('TERM');
	my $got = 0;
	while (my $answer = $lines->next) {
		$got++ if $answer->{state} eq 'succeeded';
	}
	is($got, 500, 'all arrive');
	is($stopping->wait_exit, 0, 'and it ends well');
};

is($daemon->stop, 0, 'the daemon ends well');
unlike($daemon->log_text, qr/died of|gives no sign/, 'nothing died or hung');
done_testing;
