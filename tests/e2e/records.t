# The binary door: what it answers, and what it refuses.
use strict;
use warnings;
no warnings 'portable'; # numbers of 64 bits
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Records qw(record submit request WANT_ACCEPTED WANT_RESULT SUBMIT ABORT REQUEST FINISHED RECORD_MAX);
use JSON::PP ();
use POSIX ();
use Test::More;
use Time::HiRes qw(time);

# Without a store: what is accepted is said at once. tests/e2e/durable.t has the other ones.
my $daemon = Gather::Daemon->new(workers => 2, store => 'none')->start;
my $socket = $daemon->socket;
my $broker = ($daemon->role_pids('broker'))[0];
poll_until(sub { http($socket, 'GET', '/readyz')->{status} == 200 });

sub records { return Gather::Records->new($socket) }

# The daemon serves on: the same broker answers.
sub serves_on {
	my ($name) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $answer = records();
	$answer->send(submit(1, 'noop', '{}', flags => WANT_RESULT));
	my $finished = $answer->next;
	is($finished && $finished->{state}, 'succeeded', "$name: the daemon serves on");
	is(($daemon->role_pids('broker'))[0], $broker, '... and is the same');
	return;
}

# Bytes that are no records: one refusal, then the end.
sub is_refused {
	my ($name, @bytes) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $records = records();
	$records->send(@bytes);
	my $answer = $records->next;
	is($answer && "$answer->{kind} $answer->{ref} $answer->{status} $answer->{code}", 'REFUSED 0 400 bad_record', "$name: refused");
	isnt($answer && $answer->{message}, '', "$name: ... says why");
	ok($records->ends, "$name: ... and closed");
	return;
}

subtest 'a job' => sub {
	my $records = records();
	$records->send(submit(7, 'hash', '{"text":"abc"}'));
	my $accepted = $records->next;
	is($accepted->{kind}, 'ACCEPTED', 'is accepted');
	is($accepted->{ref}, 7, '... by its tag');
	is($accepted->{durability}, 0, '... kept in memory');
	my $finished = $records->next;
	is($finished->{kind}, 'FINISHED', 'and finished');
	is_deeply([ @$finished{qw(ref id state attempts code)} ], [ 7, $accepted->{id}, 'succeeded', 1, '' ], '... the same');
	like($finished->{meta}, qr/"digest":"ba7816bf/, '... with its result');
	is((http_json($socket, 'GET', "/v1/jobs/$accepted->{id}"))[1]{state}, 'succeeded', 'the other doors know it');

	$records->send(submit(8, 'sleep', '{"seconds":0}', flags => WANT_RESULT));
	is($records->next->{kind}, 'FINISHED', 'the result only');
	$records->send(submit(9, 'noop', '', flags => WANT_ACCEPTED), request(10, 'GET', '/healthz'));
	is($records->next->{kind}, 'ACCEPTED', 'the acknowledgement only');
	is_deeply([ @{ $records->next }{qw(kind ref status)} ], [ 'RESPONSE', 10, 200 ], '... and nothing after it');
	$records->send(submit(11, 'noop', '{}', flags => 0), request(12, 'GET', '/healthz'));
	is($records->next->{ref}, 12, 'neither');
	$records->send(submit(~0, 'noop'));
	is($records->next->{ref}, ~0, 'any tag');
};

subtest 'refusals' => sub {
	my $records = records();
	my @cases = (
		[ 'unknown type', submit(1, 'nope'), 'unknown_type' ],
		[ 'no type', submit(1, ''), 'unknown_type' ],
		[ 'wrong argument', submit(1, 'sleep', '{"seconds":-1}'), qr/./, 'args.seconds' ],
		[ 'arguments that are no object', submit(1, 'noop', '[]'), qr/./ ],
		[ 'broken JSON', submit(1, 'noop', '{'), qr/./ ],
		[ 'wrong option', submit(1, 'noop', '{}', options => '{"priority":1000}'), qr/./, 'priority' ],
		[ 'unknown option', submit(1, 'noop', '{}', options => '{"x":1}'), qr/./, 'x' ],
		[ 'type as an option', submit(1, 'noop', '{}', options => '{"type":"noop"}'), qr/./ ],
		[ 'another durability', submit(1, 'noop', '{}', options => '{"durability":"fsync"}'), qr/./, 'durability' ],
		[ 'a type with bytes', submit(1, "\0\xff"), 'unknown_type' ],
	);
	for my $case (@cases) {
		my ($name, $bytes, $code, $field) = @$case;
		$records->send($bytes);
		my $answer = $records->next;
		is($answer->{kind}, 'REFUSED', "$name: refused");
		is($answer->{ref}, 1, '... by its tag');
		ref $code ? like($answer->{code}, $code, '... code') : is($answer->{code}, $code, '... code');
		is($answer->{field}, $field, '... field') if $field;
		like($answer->{message}, qr/\w/, '... message');
	}
	# Kinds that aren't a client's.
	$records->send(record(FINISHED, 5, pack('a16 v v V', '', 4, 1, 0), [ '', '', '', '' ]));
	my $answer = $records->next;
	is("$answer->{kind} $answer->{ref}", 'REFUSED 5', "a kind that is not a client's");
	$records->send(submit(6, 'noop'));
	is($records->next->{kind}, 'ACCEPTED', 'the conversation goes on');
};

subtest 'requests' => sub {
	my $records = records();
	$records->send(request(1, 'GET', '/v1/stats'), request(2, 'GET', '/nope'), request(3, 'DELETE', '/v1/jobs'), request(4, '', ''),
		request(5, 'POST', '/v1/jobs', '{"type":"noop"}'), request(6, 'GET', "/v1/jobs?state=sleepy"));
	my %answers = map { $_->{ref} => $_ } map { $records->next } 1 .. 6;
	is_deeply([ map { $answers{$_}{status} } 1 .. 6 ], [ 200, 404, 405, 404, 201, 400 ], 'the statuses of HTTP');
	ok(JSON::PP->new->decode($answers{1}{body})->{epoch}, 'and the bodies');
	like($answers{2}{content_type}, qr{^application/problem\+json}, 'and the types');
};

subtest 'abort' => sub {
	my $records = records();
	$records->send(submit(3, 'sleep', '{"seconds":60}'));
	my $accepted = $records->next;
	$records->send(record(ABORT, 3, '', []));
	my $finished = $records->next;
	is_deeply([ @$finished{qw(kind ref id state)} ], [ 'FINISHED', 3, $accepted->{id}, 'cancelled' ], 'cancels');
	$records->send(record(ABORT, 3, '', []), record(ABORT, 99, '', []), request(4, 'GET', '/healthz'));
	is($records->next->{ref}, 4, 'what there is not is no harm');

	my $leaving = records();
	$leaving->send(map { submit($_, 'sleep', '{"seconds":60}', flags => WANT_RESULT, options => '{"queue":"gone"}') } 1 .. 10);
	my $count = sub { scalar @{ (http_json($socket, 'GET', "/v1/jobs?queue=gone&state=$_[0]"))[1]{jobs} } };
	ok(poll_until(sub { $count->('running') == 10 }), 'ten run');
	$leaving->close;
	ok(poll_until(sub { $count->('cancelled') == 10 }), 'a client that leaves takes them with it');
};

subtest 'ten thousand at once' => sub {
	my $records = records();
	my (%accepted, %finished);
	my $start = time;
	# Both directions at once: the answers are read while the jobs are written.
	my $pid = fork // die "fork: $!";
	if (!$pid) {
		$records->send(map { submit($_, 'noop', '{}') } 1 .. 10_000);
		POSIX::_exit(0);
	}
	for (1 .. 20_000) {
		my $answer = $records->next // last;
		$answer->{kind} eq 'ACCEPTED' ? $accepted{ $answer->{ref} }++ : $finished{ $answer->{ref} }++;
	}
	waitpid $pid, 0;
	is(scalar keys %accepted, 10_000, 'are accepted');
	is(scalar keys %finished, 10_000, 'and finished');
	is((grep { $_ != 1 } values %accepted, values %finished), 0, 'each once');
	note(sprintf '%.1f s', time - $start);
};

subtest 'headers that are wrong' => sub {
	my $good = submit(1, 'noop', '{}');
	is_refused('version 0', record(SUBMIT, 1, '', [ 'noop', '', '' ], version => 0));
	is_refused('version 2', record(SUBMIT, 1, '', [ 'noop', '', '' ], version => 2));
	is_refused('kind 0', record(0, 1, '', []));
	is_refused('kind 255', record(255, 1, '', []));
	is_refused("size $_", record(SUBMIT, 1, '', [ 'noop', '', '' ], size => $_))
		for 0, 1, 15, 16, RECORD_MAX + 1, 2**31 - 1, 2**31, 2**32 - 1;
	# As if the size were one of 8 bytes: its upper half is the tag.
	is_refused('2^63', pack('CCCCVVV', 0xd7, 1, SUBMIT, 0, 0, 0x8000_0000, 0) . 'x' x 32);
	is_refused('a flag without a meaning', record(SUBMIT, 1, '', [ 'noop', '', '' ], flags => 0x80));
	is_refused('runs longer than the record', record(SUBMIT, 1, pack('V3', 1000, 0, 0), []));
	is_refused('runs that overflow together', record(SUBMIT, 1, pack('V3', 0xffff_ffff, 0xffff_ffff, 2), []));
	is_refused('a run of 2^32 - 1', record(SUBMIT, 1, pack('V3', 0xffff_ffff, 0, 0), ['xxxx']));
	is_refused('runs shorter than the record', record(SUBMIT, 1, pack('V3', 0, 0, 0) . 'more', []));
	is_refused('no runs', record(SUBMIT, 1, '', []));
	is_refused('a worker on the door', record(1, 0, pack('V Q< Q< Q< V4', 0, 1, 2, 3, 1, 1, 1, 1), ["\0" x 7]));
	serves_on('after all of them');

	# Another first byte is another door: HTTP, which waits for the end of its head.
	my $records = records();
	$records->send(record(SUBMIT, 1, '', [ 'noop', '', '' ], magic => 0xd8), "\r\n\r\n");
	my $answer = Gather::Http::read_until($records->handle, 10, \&Gather::Http::is_complete);
	like($answer, qr{^(HTTP/1\.\d 400 |$)}, 'wrong magic at the start: refused as HTTP, or closed');
	is_refused('wrong magic later', record(ABORT, 1, '', []), record(SUBMIT, 1, '', [ 'noop', '', '' ], magic => 0));
	serves_on('wrong magic');
};

subtest 'garbage behind good records' => sub {
	my $records = records();
	$records->send(submit(1, 'noop', '{}', flags => WANT_ACCEPTED), submit(2, 'nope'), "GET / HTTP/1.1\r\n\r\n");
	is($records->next->{kind}, 'ACCEPTED', 'the first is accepted');
	is($records->next->{code}, 'unknown_type', 'the second refused');
	is($records->next->{code}, 'bad_record', 'the garbage, too');
	ok($records->ends, 'and that is the end');
	srand 42;
	for my $round (1 .. 50) {
		my $garbage = Gather::Records->new($socket);
		$garbage->send("\xd7", join '', map { chr int rand 256 } 1 .. 1000);
		my $answer = $garbage->next;
		is($answer && $answer->{kind}, 'REFUSED', "random bytes $round") if !$answer || $answer->{kind} ne 'REFUSED';
	}
	serves_on('random bytes');
};

subtest 'cut off' => sub {
	my $good = submit(1, 'noop', '{"echo":"x"}', flags => WANT_ACCEPTED, options => '{"queue":"cut"}');
	for my $size (1 .. length($good) - 1) {
		my $records = records();
		$records->send(substr $good, 0, $size);
		$records->close;
	}
	for my $size (1 .. length($good) - 1) {
		my $records = records();
		$records->send(substr $good, 0, $size);
		$records->handle->shutdown(1);
		my $end = $records->ends;
		ok($end, "half closed after $size bytes: closed") unless $end;
	}
	serves_on('at each byte');
	is(scalar @{ (http_json($socket, 'GET', '/v1/jobs?queue=cut'))[1]{jobs} }, 0, 'none of them was a job');

	my $records = records();
	for my $byte (split //, $good) { $records->send($byte) }
	is($records->next->{kind}, 'ACCEPTED', 'one byte at a time is a job');
	$records = records();
	my $large = submit(1, 'noop', '{"echo":"' . 'x' x 900_000 . '"}');
	$records->send(substr $large, 0, 500_000);
	serves_on('half of a large one');
	$records->send(substr $large, 500_000);
	is($records->next->{kind}, 'ACCEPTED', 'and its other half');

	for my $round (1 .. 20) {
		my $hasty = records();
		$hasty->send(submit(1, 'noop', '{}', flags => WANT_ACCEPTED, options => '{"queue":"hasty"}'));
		$hasty->close;
	}
	ok(poll_until(sub { @{ (http_json($socket, 'GET', '/v1/jobs?queue=hasty'))[1]{jobs} } == 20 }),
		'gone before the acknowledgement');
	serves_on('gone before the acknowledgement');
};

subtest 'large' => sub {
	my $records = records();
	$records->send(submit(1, 'noop', '{"echo":"' . 'x' x 1_000_000 . '"}'));
	my $answer = $records->next;
	is($answer->{kind}, 'ACCEPTED', 'a megabyte is taken') or diag(explain($answer));
	$answer = $records->next;
	is($answer->{ref}, 1, 'and answered') or return;
	$records->send(submit(2, 'noop', '{"echo":"' . 'x' x 1_100_000 . '"}'));
	$answer = $records->next;
	is($answer->{kind}, 'REFUSED', 'more is not');
	serves_on('large records');
};

is($daemon->stop, 0, 'the daemon stops');
$daemon->log_unlike(qr/died of|gives no sign/, 'nothing died or hung');
done_testing;
