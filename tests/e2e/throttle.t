# Limits of queues and keys: what runs at once, how fast, what waits; as the server at the other end sees it.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Cli qw(from_json json_lines);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Lines;
use Gather::Nginx;
use Gather::Records qw(submit);
use JSON::PP ();
use Test::More;

my $nginx = Gather::Nginx->new(conn => 4);
my $daemon = Gather::Daemon->new(workers => 2, 'http.allow' => [ '127.0.0.1', '::1' ], 'http.per_host' => 5)->start;
my $cli = Gather::Cli->new(socket => $daemon->socket);

sub ask {
	my ($method, $path, $body) = @_;
	return http_json($daemon->socket, $method, $path, $body);
}

# Accepted ids, in order.
sub accept_jobs {
	my (@jobs) = @_;
	my ($status, $answers) = ask('POST', '/v1/jobs', \@jobs);
	return map { $_->{id} // die "refused: $_->{error}{detail}" } @$answers;
}

# Wait for all of them: the jobs.
sub ends {
	my (@ids) = @_;
	return map { (ask('GET', "/v1/jobs/$_?wait=30s"))[1] } @ids;
}

sub encode { return JSON::PP->new->canonical->encode($_[0]) }
sub why { return (ask('GET', "/v1/jobs/$_[0]/why"))[1]{why} // '' }
sub key { return (ask('GET', '/v1/limits/' . ($_[0] // $nginx->key)))[1] }
sub http_jobs { my ($count, $path, %more) = @_; return map { { type => 'http', args => { url => $nginx->url($path) }, durability => 'memory', %more } } 1 .. $count }

subtest 'a host is asked so many at once, by default' => sub {
	my @ids = accept_jobs(http_jobs(40, '/slow?default'));
	my $why = poll_until(sub { my $w = why($ids[39]); $w =~ /running/ && $w });
	like($why, qr/^ready for \S+: \Q${\$nginx->key}\E has 5 of 5 running, \d+ ahead/, 'why');
	is_deeply([ grep { $_->{state} ne 'succeeded' } ends(@ids) ], [], 'all succeed');
	my @seen = grep { $_->{path} =~ /default/ } $nginx->requests;
	is(scalar @seen, 40, 'nginx saw each once');
	is($nginx->most_at_once(@seen), 5, '... and five at once at most');
	my $key = key();
	is("$key->{running} $key->{pending} $key->{concurrency}", '0 0 5', 'the key shows it');
	ok(!$key->{own}, '... as a default');
};

subtest 'hosts are apart, and other jobs are not held up' => sub {
	my @ids = accept_jobs(http_jobs(30, '/slow?one'));
	my $url = 'http://localhost:' . $nginx->port . '/slow?two';
	my ($other) = accept_jobs({ type => 'http', args => { url => $url }, durability => 'memory' });
	my ($noop) = accept_jobs({ type => 'noop', durability => 'memory' });
	is($_->{state}, 'succeeded', 'it succeeds') for ends($noop, $other);
	my $left = grep { $_->{state} eq 'ready' } map { (ask('GET', "/v1/jobs/$_"))[1] } @ids;
	cmp_ok($left, '>', 0, '... while jobs for the first host still wait');
	ends(@ids);
};

subtest 'keys of a queue share fairly' => sub {
	ask('POST', '/v1/queues/fair', { concurrency => 1 });
	ask('POST', '/v1/queues/fair/pause');
	my @many = accept_jobs(map { { type => 'noop', queue => 'fair', limit_key => 'many', durability => 'memory' } } 1 .. 50);
	my @few = accept_jobs(map { { type => 'noop', queue => 'fair', limit_key => 'few', durability => 'memory' } } 1 .. 3);
	ask('POST', '/v1/queues/fair/resume');
	my @jobs = sort { $a->{started_at} cmp $b->{started_at} || $a->{id} cmp $b->{id} } ends(@many, @few);
	my %is_few = map { $_ => 1 } @few;
	my ($last) = grep { $is_few{ $jobs[$_]{id} } } reverse 0 .. $#jobs;
	# started_at has milliseconds: several jobs share one.
	cmp_ok($jobs[$last]{started_at}, 'le', $jobs[12]{started_at}, 'three behind fifty start among the first');
};

subtest 'limits are set, shown and taken back' => sub {
	my $did = $cli->run('limit', 'set', $nginx->key, '--concurrency', 9, '--rate', '1000/s', '-o', 'json');
	is($did->{status}, 0, 'limit set') or diag $did->{err};
	my $set = from_json($did->{out});
	is("$set->{concurrency} $set->{rate}", '9 1000/s', '... says what is so');
	my @ids = accept_jobs(http_jobs(40, '/slow?nine'));
	ends(@ids);
	is($nginx->most_at_once(grep { $_->{path} =~ /nine/ } $nginx->requests), 9, 'nine at once now');
	$cli->run('limit', 'set', $nginx->key, '--rate', 'none', '--max-pending', 70);
	my $key = key();
	is(join(' ', map { $key->{$_} // '-' } qw(concurrency rate max_pending)), '9 - 70', 'what is not given stays');
	like($cli->run('limits')->{out}, qr/^KEY.*\n(?:.*\n)*\Q${\$nginx->key}\E +0 +0 +9 +70 +yes$/m, 'limits lists it');
	is($cli->run('limit', 'unset', $nginx->key)->{status}, 0, 'limit unset');
	is(key()->{concurrency}, 5, 'the default holds again');
	is($cli->run('limit', 'show', 'unheard-of')->{status}, 1, 'one that nobody names');
	is($cli->run('limit', 'set', $nginx->key)->{status}, 2, 'set without anything');
	is($cli->run('limit', 'sat', $nginx->key)->{status}, 2, 'neither set nor unset');
	is($cli->run('limit', 'set', 'a/b', '--burst', 1)->{status}, 2, 'no name');
	my (undef, $list) = ask('GET', '/v1/limits');
	is($list->{defaults}{concurrency}, 5, 'the defaults are shown');
};

subtest 'what is wrong is refused by name' => sub {
	for my $case (
		[ { concurrency => 0 },       'concurrency' ],
		[ { concurrency => 'many' },  'concurrency' ],
		[ { concurrency => -1 },      'concurrency' ],
		[ { rate => '100' },          'rate' ],
		[ { rate => '100/x' },        'rate' ],
		[ { rate => '0/s' },          'rate' ],
		[ { rate => '9999999/s' },    'rate' ],
		[ { rate => 5 },              'rate' ],
		[ { burst => 0 },             'burst' ],
		[ { max_pending => 1.5 },     'max_pending' ],
		[ { paused => 1 },            'paused' ],
	) {
		my ($body, $field) = @$case;
		my ($status, $problem) = ask('POST', '/v1/limits/x', $body);
		is("$status " . ($problem->{field} // ''), "422 $field", encode($body));
	}
	is((ask('POST', '/v1/limits/x', {}))[0], 422, 'nothing to change');
	is((ask('POST', '/v1/queues/.x', { burst => 1 }))[0], 422, 'a queue of a wrong name');
	is((ask('POST', '/v1/limits/a%20b', { burst => 1 }))[0], 422, 'a key of a wrong name');
	is((ask('POST', '/v1/limits/' . 'x' x 256, { burst => 1 }))[0], 422, 'a key too long');
	is((ask('PUT', '/v1/limits/x', {}))[0], 405, 'PUT');
	my ($status, $problem) = ask('POST', '/v1/jobs', { type => 'noop', limit_key => 'a b' });
	is("$status $problem->{field}", '422 limit_key', 'a job with a wrong key');
	is((ask('GET', '/v1/limits/x'))[0], 404, 'no trace of it all');
};

subtest 'a busy host is spared' => sub {
	my @before = $nginx->requests;
	$cli->run('limit', 'set', $nginx->key, '--concurrency', 40);
	my @ids = accept_jobs(http_jobs(40, '/counted', retries => { max => 50, initial => '10ms', maximum => '100ms' }));
	my $slowed = poll_until(sub { my $k = key(); $k->{slowed_to} && $k });
	cmp_ok($slowed->{slowed_to} // 99, '<=', 20, 'half of what was too much');
	is_deeply([ grep { $_->{state} ne 'succeeded' } ends(@ids) ], [], 'all succeed in the end');
	my @seen = splice @{ [ $nginx->requests ] }, scalar @before;
	my @busy = grep { $_->{status} == 429 } @seen;
	cmp_ok(scalar @busy, '>', 0, 'nginx said 429');
	# Retry-After is 1 s: those that were under way come, and then nothing for that long.
	my ($first) = sort { $a <=> $b } map { $_->{end} } @busy;
	my @next = sort { $a <=> $b } grep { $_ > $first + 0.3 } map { $_->{start} } @seen;
	cmp_ok($next[0] - $first, '>=', 0.95, 'nothing starts before Retry-After');
	# By itself each job would have tried again every 0.1 s at the latest.
	cmp_ok(scalar @busy, '<', 150, 'few are refused: ' . @busy);
	my $key = key();
	$cli->run('limit', 'set', $nginx->key, '--concurrency', 40);
	ok(!exists key()->{slowed_to}, 'who sets a limit knows better: it is no longer slow');
	$cli->run('limit', 'unset', $nginx->key);
};

subtest 'pause and resume' => sub {
	for my $case ([ 'reports', 'queue', [], { queue => 'reports' } ], [ 'slow-db', 'limit_key', ['--key'], { limit_key => 'slow-db' } ]) {
		my ($name, $what, $flags, $fields) = @$case;
		my $called = $what eq 'queue' ? "queue $name" : $name;
		is($cli->run('pause', @$flags, $name)->{status}, 0, "pause $name");
		my @ids = accept_jobs(map { { type => 'noop', durability => 'memory', %$fields } } 1 .. 3);
		is((ends(accept_jobs({ type => 'noop', durability => 'memory' })))[0]{state}, 'succeeded', 'others run');
		is((ask('GET', "/v1/jobs/$_"))[1]{state}, 'ready', 'one of it waits') for @ids;
		like(why($ids[0]), qr/^ready for \S+: $called is paused$/, 'why');
		like($cli->run('why', $ids[0])->{out}, qr/$called is paused$/, '... by the command');
		is($cli->run('resume', @$flags, $name)->{status}, 0, "resume $name");
		is_deeply([ map { $_->{state} } ends(@ids) ], [ ('succeeded') x 3 ], 'they run');
		is($cli->run('resume', @$flags, $name)->{status}, 0, 'resume once more changes nothing');
	}
};

subtest 'a queue takes so many, and says when to come back' => sub {
	ask('POST', '/v1/queues/small', { concurrency => 1, max_pending => 2 });
	my $lines = Gather::Lines->new($daemon->socket);
	my %sleep = (type => 'sleep', args => { seconds => 60 }, queue => 'small', durability => 'memory');
	my ($runs) = accept_jobs(\%sleep);
	ok(poll_until(sub { (ask('GET', "/v1/jobs/$runs"))[1]{state} eq 'running' }), 'one runs');
	my @waiting = accept_jobs(\%sleep, \%sleep);
	my $answer = http($daemon->socket, 'POST', '/v1/jobs', encode(\%sleep), 'Content-Type' => 'application/json');
	is($answer->{status}, 429, 'the next is refused');
	like($answer->{headers}{'retry-after'}, qr/^[1-9]\d*$/, '... with Retry-After');
	my $problem = from_json($answer->{body});
	is("$problem->{code} $problem->{field}", 'queue_full queue', '... and why');
	like($problem->{detail}, qr/2 jobs of queue small wait/, '... in a sentence');
	is($lines->ask(\%sleep)->{error}{status}, 429, 'by lines');
	my $records = Gather::Records->new($daemon->socket);
	$records->send(submit(1, 'sleep', '{"seconds":60}', options => '{"queue":"small"}'));
	my $refused = $records->next;
	is("$refused->{kind} $refused->{status}", 'REFUSED 429', 'by records');
	my $did = $cli->run('run', 'sleep', 'seconds=60', '--queue', 'small');
	is($did->{status}, 6, 'run: refused');
	like($did->{err}, qr/queue small wait/, '... and says why');
	ask('POST', "/v1/jobs/$waiting[0]/cancel");
	is((ask('POST', '/v1/jobs', \%sleep))[0], 201, 'one leaves: there is room');
	ask('DELETE', '/v1/queues/small');
	is((ask('POST', '/v1/jobs', { %sleep, args => { seconds => 0 } }))[0], 201, 'without the limit there is more');
	my ($key_full) = ask('POST', '/v1/limits/narrow', { max_pending => 1 });
	ask('POST', '/v1/limits/narrow/pause');
	accept_jobs({ type => 'noop', limit_key => 'narrow' });
	is((ask('POST', '/v1/jobs', { type => 'noop', limit_key => 'narrow' }))[1]{code}, 'key_full', 'a key likewise');
	ask('POST', '/v1/limits/narrow/resume');
};

# Instants as the daemon gives them, in seconds.
sub seconds {
	my ($text) = @_;
	my ($h, $m, $s) = $text =~ /T(\d+):(\d+):([\d.]+)Z/ or die "no instant: $text";
	return $h * 3600 + $m * 60 + $s;
}

subtest 'a rate is kept' => sub {
	ask('POST', '/v1/limits/metered', { rate => '20/s', burst => 1 });
	my @ids = accept_jobs(map { { type => 'noop', limit_key => 'metered', durability => 'memory' } } 1 .. 40);
	like(why($ids[39]), qr/^ready for \S+: metered starts 20\/s: the next in \d+ms, \d+ ahead, about \S+s$/, 'why');
	my @starts = sort { $a <=> $b } map { seconds($_->{started_at}) } ends(@ids);
	my $took = $starts[-1] - $starts[0];
	$took += 86400 if $took < 0;
	cmp_ok($took, '>=', 39 / 20 - 0.01, 'not faster');
	# Slower is the machine's affair; far slower would be ours.
	cmp_ok($took, '<=', 39 / 20 + 5, 'not much slower');
	my @close = grep { $starts[$_] - $starts[ $_ - 1 ] < 0.045 } 1 .. $#starts;
	cmp_ok(scalar @close, '<=', 4, 'evenly spread');
};

subtest 'lines' => sub {
	my $lines = Gather::Lines->new($daemon->socket);
	my $set = $lines->ask({ op => 'limit_set', id => 'by-lines', concurrency => 3, rate => '5/10s' });
	is("$set->{key} $set->{concurrency} $set->{rate}", 'by-lines 3 5/10s', 'limit_set');
	is($lines->ask({ op => 'limit', id => 'by-lines', tag => 7 })->{concurrency}, 3, 'limit');
	is($lines->ask({ op => 'limit_set', id => 'by-lines', concurrency => undef })->{concurrency}, undef, 'null takes one away');
	ok((grep { $_->{key} eq 'by-lines' } @{ $lines->ask({ op => 'limits' })->{limits} }), 'limits');
	ok($lines->ask({ op => 'limit_pause', id => 'by-lines' })->{paused}, 'limit_pause');
	ok(!$lines->ask({ op => 'limit_resume', id => 'by-lines' })->{paused}, 'limit_resume');
	ok(!$lines->ask({ op => 'limit_unset', id => 'by-lines' })->{own}, 'limit_unset');
	is($lines->ask({ op => 'queue_set', id => 'q', max_pending => 5 })->{max_pending}, 5, 'queue_set');
	ok($lines->ask({ op => 'pause', id => 'q' })->{paused}, 'pause');
	is($lines->ask({ op => 'queue', id => 'q' })->{name}, 'q', 'queue');
	ok(!$lines->ask({ op => 'resume', id => 'q' })->{paused}, 'resume');
	ok(!$lines->ask({ op => 'queue_unset', id => 'q' })->{own}, 'queue_unset');
	is($lines->ask({ op => 'pause' })->{error}{field}, 'id', 'no name');
	is($lines->ask({ op => 'queue_set', id => 'q', nope => 1 })->{error}{field}, 'nope', 'an unknown member');
};

subtest 'a key that needs escapes' => sub {
	is($cli->run('limit', 'set', '[::1]:8080', '--concurrency', 1)->{status}, 0, 'by the command');
	is(key('[::1]:8080')->{concurrency}, 1, 'it is the one');
	is(key('%5B%3a%3A1%5d:8080')->{concurrency}, 1, '... escaped');
};

subtest 'settings outlive the broker' => sub {
	$cli->run('limit', 'set', 'kept', '--concurrency', 7, '--rate', '3/m');
	$cli->run('limit', 'set', '--queue', 'kept', '--max-pending', 11);
	$cli->run('limit', 'set', 'dropped', '--concurrency', 7);
	$cli->run('limit', 'unset', 'dropped');
	$cli->run('pause', 'kept');
	$cli->run('pause', 'kept-too');
	my ($id) = map { $_->{id} } (ask('POST', '/v1/jobs', { type => 'noop', queue => 'kept', limit_key => 'kept', durability => 'fsync' }))[1];
	my ($broker) = $daemon->role_pids('broker');
	kill KILL => $broker;
	ok(poll_until(sub { my ($now) = $daemon->role_pids('broker'); $now && $now != $broker }), 'the broker was killed');
	my $key = poll_until(sub { my $k = eval { key('kept') }; $k && $k->{key} && $k });
	is("$key->{concurrency} $key->{rate}", '7 3/m', 'a limit of a key');
	my (undef, $queue) = ask('GET', '/v1/queues/kept');
	is("$queue->{max_pending} " . ($queue->{paused} ? 'paused' : 'open'), '11 paused', 'of a queue, and its pause');
	is((ask('GET', '/v1/limits/dropped'))[0], 404, 'what was unset stays so');
	ok((ask('GET', '/v1/queues/kept-too'))[1]{paused}, 'a pause alone');
	like(why($id), qr/queue kept is paused/, 'the job waits still, of the same queue');
	is((ask('GET', "/v1/jobs/$id"))[1]{limit_key}, 'kept', '... and key');
	$cli->run('resume', 'kept');
	is((ends($id))[0]{state}, 'succeeded', 'it runs once it may');
};

subtest 'a reload changes the defaults' => sub {
	$daemon->conf('http.per_host' => 6, 'limits.queue_pending' => 1000)->signal('HUP');
	ok(poll_until(sub { (ask('GET', '/v1/limits'))[1]{defaults}{concurrency} == 6 }), 'of keys');
	is((ask('GET', '/v1/queues'))[1]{defaults}{max_pending}, 1000, 'of queues');
};

is($daemon->stop, 0, 'the daemon stops');
done_testing;
