# The command line: each verb, each output, each exit status.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Digest::SHA ();
use File::Copy qw(copy);
use Gather::Cli qw(from_json json_lines);
use Gather::Daemon qw(poll_until);
use JSON::PP ();
use POSIX ();
use Test::More;

my $daemon = Gather::Daemon->new(workers => 2)->start;
my $cli = Gather::Cli->new(socket => $daemon->socket);
my $id_pattern = qr/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/;
my $never = '01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70';

sub gather { return $cli->run(@_) }

# One run: its status, and patterns for its streams; undef: nothing there.
sub runs {
	my ($name, $arguments, $status, $out, $err) = @_;
	local $Test::Builder::Level = $Test::Builder::Level + 1;
	my $did = gather(@$arguments);

	my $good = is($did->{status}, $status, "$name: status $status");
	$good &= defined $out ? like($did->{out}, $out, "$name: output") : is($did->{out}, '', "$name: no output");
	$good &= defined $err ? like($did->{err}, $err, "$name: error") : is($did->{err}, '', "$name: no error");
	diag("status $did->{status}, out: $did->{out}, err: $did->{err}") unless $good;
	return $did;
}

sub submit {
	my (@arguments) = @_;
	my $did = gather('submit', @arguments);
	my ($id) = $did->{out} =~ /^($id_pattern)\n\z/;
	ok($id, "submitted: @arguments") or diag($did->{err});
	return $id;
}

# Wait until a job is in a state.
sub state_becomes {
	my ($id, $state) = @_;
	return poll_until(sub { from_json(gather('show', '-o', 'json', $id)->{out})->{state} eq $state });
}

subtest 'run' => sub {
	runs('noop', [qw(run noop)], 0, undef, undef);
	runs('sleep', [qw(run sleep seconds=0.01)], 0, undef, undef);
	my $did = runs('json', [qw(run hash text=abc -o json)], 0, qr/^\{.*\}\n\z/s, undef);
	my $job = from_json($did->{out});
	is($job->{state}, 'succeeded', '... tells the state');
	like($job->{result}{digest}, qr/^ba7816bf/, '... and the result');
	runs('jsonl', [qw(run hash text=abc -o jsonl)], 0, qr/^\{"type":"hash".*\}\n\z/, undef);
	runs('id', [qw(run noop -o id)], 0, qr/^$id_pattern\n\z/, undef);
	runs('none', [qw(run hash text=abc -o none)], 0, undef, undef);
	$did = runs('text', [qw(run hash text=abc)], 0, qr/ba7816bf/, undef);

	$did = gather('run', 'noop', 'echo:={"a":[1,true,null,"x"]}', '-o', 'json');
	is_deeply(from_json($did->{out})->{result}{echo}, { a => [ 1, JSON::PP::true, undef, 'x' ] }, 'name:=JSON');
	my $file = $cli->tmp . '/argument';
	open my $out, '>', $file or die;
	print $out "from a file";
	close $out;
	$did = gather('run', 'hash', "text=\@$file", '-o', 'json');
	is(from_json($did->{out})->{result}{digest}, Digest::SHA::sha256_hex('from a file'), 'name=@FILE');
	unlink $file;
};

subtest 'what is wrong with a job' => sub {
	runs('unknown type', [qw(run nope)], 2, undef, qr/unknown job type "nope": known are.*sleep/);
	runs('missing argument', [qw(run sleep)], 2, undef, qr/seconds/);
	runs('wrong argument', [qw(run sleep seconds=-1)], 2, undef, qr/args\.seconds takes.*not -1/);
	runs('unknown argument', [qw(run sleep seconds=1 hours=2)], 2, undef, qr/hours/);
	runs('broken JSON', [qw(run noop echo:={)], 2, undef, qr/echo.*JSON/i);
	runs('missing file', [qw(run hash text=@/nope/nope)], 2, undef, qr{/nope/nope.*No such file});
	runs('out of time', [qw(run sleep seconds=60 --timeout 50ms)], 3, undef, qr/timeout of 50ms/);
	runs('not waited for', [qw(run sleep seconds=60 --wait 50ms)], 3, undef, qr/not finished in 50ms/);
	runs('a failed job', [qw(run http url=http://127.0.0.1:1/)], 1, undef,
		qr/127\.0\.0\.1 is a loopback address; allow it in gatherd\.conf: http\.allow = \{"127\.0\.0\.1/);
	runs('another durability', [qw(run noop --durability stone)], 2, undef, qr/memory/);
	runs('a webhook that is no URL', [qw(submit noop --webhook ftp://x)], 2, undef, qr/webhook takes a URL/);
	my $did = gather(qw(run sleep seconds=60 --timeout 50ms -o json));
	is($did->{status}, 3, 'json of a timeout: status 3');
	is(from_json($did->{out})->{error}{code}, 'timeout', '... and its code on standard output');
};

subtest 'wrong command lines' => sub {
	runs('no verb', [], 2, undef, qr/which verb.*gather --help/s);
	runs('typo', [qw(rnu noop)], 2, undef, qr/did you mean 'run'\?/);
	runs('no verb at all', [qw(frobnicate)], 2, undef, qr/there is no verb 'frobnicate'\n/);
	runs('flag typo', [qw(run sleep --timout 5s)], 2, undef, qr/did you mean --timeout\?/);
	runs('flag without its value', [qw(run sleep --timeout)], 2, undef, qr/--timeout needs a value/);
	runs('value for a switch', [qw(ls --quiet=1)], 2, undef, qr/--quiet takes no value/);
	runs('output format', [qw(ls -o yaml)], 2, undef, qr/text, json, jsonl, id or none, not 'yaml'/);
	runs('timeout', [qw(run noop --timeout soon)], 2, undef, qr/--timeout takes .*not 'soon'/);
	runs('retries', [qw(run noop --retries -1)], 2, undef, qr/--retries takes/);
	runs('priority', [qw(run noop --priority 101)], 2, undef, qr/-100 to 100, not '101'/);
	runs('jobs', [qw(map sleep -j 0)], 2, undef, qr/--jobs takes/);
	runs('resume without a log', [qw(map sleep --resume-failed)], 2, undef, qr/--resume-failed needs --joblog FILE/);
	runs('limit', [qw(ls --limit 0)], 2, undef, qr/--limit takes/);
	runs('an id', [qw(show 123)], 2, undef, qr/'123' is not a job's id/);
	runs('no id', [qw(show)], 2, undef, qr/ids of jobs/);
	runs('local, and a webhook', [qw(--local run noop --webhook http://127.0.0.1:1/)], 2, undef, qr/--webhook: not with --local/);
	runs('socket and local', [qw(--local --socket /x run noop)], 2, undef, qr/exclude each other/);
	runs('no such list', [qw(submit /nope/jobs.ndjson)], 2, undef, qr/No such file/);
};

subtest 'help' => sub {
	my $did = runs('--help', ['--help'], 0, qr/^Usage: gather/, undef);
	my @verbs = $did->{out} =~ /^  ([a-z]+) {2,}\S/mg;
	is_deeply([ sort @verbs ], [qw(attempts backup bench cancel fetch group limit limits logs ls map pause ps purge queues result resume retry run schedule schedules show stats submit types wait why workers)],
		'lists each verb');
	for my $verb (@verbs) {
		runs("$verb --help", [ $verb, '--help' ], 0, qr/^Usage: gather $verb .*^Examples:\n  \S/sm, undef);
	}
	runs('help run', [qw(help run)], 0, qr/^Usage: gather run/, undef);
	runs('run TYPE --help', [qw(run sleep --help)], 0, qr/seconds.*how long/s, undef);
	runs('run TYPO --help', [qw(run slep --help)], 2, undef, qr/sle/);
	runs('--version', ['--version'], 0, qr/^gather \d+\.\d+\.\d+\n\z/, undef);
};

subtest 'submit, wait, show, result, why' => sub {
	my $id = submit('hash', 'text=abc');
	runs('wait', [ 'wait', $id ], 0, qr/^$id succeeded\n\z/, undef);
	runs('wait -o json', [ 'wait', '-o', 'json', $id ], 0, qr/"state": "succeeded"/, undef);
	runs('wait -o id', [ 'wait', '-o', 'id', $id ], 0, qr/^$id\n\z/, undef);
	runs('show', [ 'show', $id ], 0, qr/^id +$id\nstate +succeeded\n.*^type +hash$/ms, undef);
	is(from_json(gather('show', '-o', 'jsonl', $id)->{out})->{args}{text}, 'abc', 'show -o jsonl has the arguments');
	my $half = submit('sleep', 'seconds=0.1');
	runs('numbers as they were written', [ 'show', $half ], 0, qr/^args +\{"seconds":0\.1\}$/m, undef);
	like(gather('show', '-o', 'jsonl', $half)->{out}, qr/"seconds":0\.1\}/, '... also as JSON');
	runs('result', [ 'result', $id ], 0, qr/ba7816bf/, undef);
	runs('result -o jsonl', [ 'result', '-o', 'jsonl', $id ], 0, qr/^\{"id":"$id","body":.*\}\n\z/, undef);
	runs('why', [ 'why', $id ], 0, qr/finished: succeeded/, undef);
	runs('an unknown id', [ 'show', $never ], 1, undef, qr/$never/);
	runs('the second of two is unknown', [ 'show', '-o', 'id', $id, $never ], 1, qr/^$id\n\z/, qr/$never/);

	my $slow = submit('sleep', 'seconds=60');
	ok(state_becomes($slow, 'running'), 'it runs on without its command');
	runs('result of a running job', [ 'result', $slow ], 3, undef, qr/$slow.*running/);
	runs('wait with a limit', [ 'wait', '--wait', '50ms', $slow ], 3, qr/^$slow running\n\z/, undef);
	runs('why', [ 'why', $slow ], 0, qr/running/, undef);
	runs('cancel', [ 'cancel', $slow ], 0, qr/^$slow \w+\n\z/, undef);
	runs('wait for a cancelled one', [ 'wait', $slow ], 1, qr/^$slow cancelled/, undef);
	runs('cancel again', [ 'cancel', $slow ], 0, qr/^$slow cancelled\n\z/, undef);
	runs('cancel what has succeeded', [ 'cancel', $id ], 1, undef, qr/$id: .*succeeded already/);
	runs('ids from standard input', [ { stdin => "$id\n$slow\n" }, 'wait', '-' ], 1, qr/^$id succeeded\n$slow cancelled\n/, undef);
	runs('no id on standard input', [ { stdin => "x\n" }, 'wait', '-' ], 2, undef, qr/'x' is not a job's id/);

	my $late = submit('sleep', 'seconds=60', '--deadline', '100ms');
	runs('wait for one that expires', [ 'wait', $late ], 1, qr/^$late expired: its deadline passed/, undef);
	runs('its result', [ 'result', $late ], 1, undef, qr/$late: the job expired: its deadline passed/);

	my $failing = submit('http', 'url=http://127.0.0.1:1/', '--retries', '0');
	runs('wait for one that fails', [ 'wait', $failing ], 1, qr/^$failing failed: .*loopback/, undef);
	runs('its result', [ 'result', $failing ], 1, undef, qr/$failing: .*loopback/);
	runs('retry', [ 'retry', $failing ], 0, qr/^$failing \w+\n\z/, undef);
	runs('fails again', [ 'wait', $failing ], 1, qr/failed/, undef);
	is(from_json(gather('show', '-o', 'json', $failing)->{out})->{attempts}, 2, 'after a second attempt');
	runs('retry of a success', [ 'retry', $id ], 1, undef, qr/succeeded/);
};

subtest 'submit a list' => sub {
	my $list = qq({"type":"noop"}\n{"type":"sleep","args":{"seconds":-1}}\n{"type":\n{"args":{}}\n{"type":"noop","queue":"q2"}\n);
	my $did = runs('standard input', [ { stdin => $list }, 'submit', '-' ], 1, qr/^$id_pattern\n$id_pattern\n\z/,
		qr/job 2: .*seconds.*job 3: .*JSON.*job 4: .*type/s);
	like($did->{err}, qr/2 accepted  3 refused/, 'with a summary');
	my $file = $cli->tmp . '/jobs';
	open my $out, '>', $file or die;
	print $out $list;
	close $out;
	$did = gather('submit', '-o', 'jsonl', $file);
	my @answers = json_lines($did->{out});
	is_deeply([ map { $_->{id} ? 'id' : $_->{error} ? "error $_->{index}" : '?' } @answers ],
		[ 'id', 'error 1', 'error 2', 'error 3', 'id' ], 'a file: one answer a line, in order');
	$did = gather('submit', '-o', 'json', $file);
	is(scalar @{ from_json($did->{out}) }, 5, 'json: an array of five');
	unlink $file;
	runs('no jobs', [ { stdin => '' }, 'submit', '-' ], 0, undef, undef);
	my $many = gather({ stdin => qq({"type":"noop"}\n) x 5000 }, 'submit', '-');
	is($many->{status}, 0, 'five thousand at once');
	my %ids = map { $_ => 1 } split /\n/, $many->{out};
	is(scalar keys %ids, 5000, '... have five thousand ids');
};

subtest 'ls' => sub {
	my $id = submit('sleep', 'seconds=60', '--queue', 'slow');
	ok(state_becomes($id, 'running'), 'one runs');
	runs('by queue', [qw(ls --queue slow)], 0, qr/^ID .*STATE.*\n$id +sleep +slow +running[^\n]*\n\z/, undef);
	runs('by state', [qw(ls --state running -o id)], 0, qr/^$id\n\z/, undef);
	runs('by type and limit', [qw(ls --type noop --limit 3 -o id)], 0, qr/^(?:$id_pattern\n){3}\z/, undef);
	my $did = gather(qw(ls --type noop --limit 2500 -o jsonl));
	is(scalar(() = json_lines($did->{out})), 2500, 'more than a page');
	runs('what there is not', [qw(ls --queue nothing)], 0, undef, undef);
	runs('what there is not, as JSON', [qw(ls --queue nothing -o json)], 0, qr/^\[\]\n\z/, undef);
	runs('a state that there is not', [qw(ls --state sleepy)], 2, undef, qr/running/);
	runs('pipe into cancel', [ { stdin => gather(qw(ls --queue slow -o id))->{out} }, 'cancel', '-' ], 0, qr/^$id /, undef);
};

subtest 'workers, queues, types, stats, bench' => sub {
	runs('workers', ['workers'], 0, qr/^WORKER +PID.*\n +0 +\d+ +up.*\n +1 +\d+ +up.*\n\z/, undef);
	is(scalar @{ from_json(gather(qw(workers -o json))->{out}) }, 2, 'workers -o json: two');
	runs('queues', ['queues'], 0, qr/^QUEUE.*^default +0/ms, undef);
	runs('types', ['types'], 0, qr/^TYPE.*^hash +cpu.*^http +net.*^noop +light.*^sleep +light/ms, undef);
	runs('types sleep', [qw(types sleep)], 0, qr/seconds/, undef);
	runs('types -o id', [qw(types -o id)], 0, qr/^hash\nhttp\nnoop\nsleep\n\z/, undef);
	runs('stats', ['stats'], 0, qr/^version +\d.*^totals\.submitted +\d+$/ms, undef);
	ok(from_json(gather(qw(stats -o json))->{out})->{totals}{submitted} > 5000, 'stats -o json');
	runs("$_ -o none", [ $_, '-o', 'none' ], 0, undef, undef) for qw(workers queues types stats);
	my $did = runs('bench', [qw(bench -n 1000 -w 10 -o json)], 0, qr/^\{"type":"noop","jobs":1000,/, undef);
	is(from_json($did->{out})->{failed}, 0, '... none failed');
	runs('bench, as text', [qw(bench -n 10 -w 1)], 0, qr/^10 noop jobs, 1 at once: \d+\/s  p50/, undef);
	runs('bench of failures', [qw(bench -n 3 --type http url=http://127.0.0.1:1/)], 1, qr/3 http jobs/, qr/3 failed.*loopback/);
};

subtest 'interrupted' => sub {
	my $process = $cli->start(qw(run sleep seconds=60 --queue ctrl-c));
	ok(poll_until(sub { gather(qw(ls --queue ctrl-c --state running -o id))->{out} }), 'a job runs');
	$process->signal('INT');
	my $did = $process->wait;
	is($did->{status}, 130, 'SIGINT: status 130');
	cmp_ok($did->{seconds}, '<', 10, 'at once');
	like(gather(qw(ls --queue ctrl-c))->{out}, qr/sleep +ctrl-c +cancelled/, 'and the job is cancelled');

	$process = $cli->start(qw(run sleep seconds=60 --queue term));
	ok(poll_until(sub { gather(qw(ls --queue term --state running -o id))->{out} }), 'another runs');
	$process->signal('TERM');
	is($process->wait->{status}, 143, 'SIGTERM: status 143');
	$process = $cli->start(qw(run sleep seconds=60 --queue kill));
	ok(poll_until(sub { gather(qw(ls --queue kill --state running -o id))->{out} }), 'another runs');
	$process->signal('KILL');
	$process->wait;
	ok(poll_until(sub { gather(qw(ls --queue kill --state cancelled -o id))->{out} }), 'kill -9: its job is cancelled, too');
	$process = $cli->start(qw(run sleep seconds=60 --queue stays --detach));
	ok(poll_until(sub { gather(qw(ls --queue stays --state running -o id))->{out} }), 'a detached one runs');
	$process->signal('INT');
	$did = $process->wait;
	is($did->{status}, 130, 'SIGINT');
	like($did->{err}, qr/still running: gather wait ($id_pattern)/, 'says how to wait for it');
	like(gather(qw(ls --queue stays))->{out}, qr/running/, 'and it runs on');
	is(gather('cancel', $did->{err} =~ /($id_pattern)/)->{status}, 0, '... until it is cancelled');

	$process = $cli->start({ stdin => join '', map { "$_\n" } 1 .. 500 }, qw(map sleep seconds:={} --queue many));
	ok(poll_until(sub { from_json(gather(qw(stats -o json))->{out})->{jobs}{running} >= 100 }), 'a map runs');
	$process->signal('INT');
	is($process->wait->{status}, 130, 'SIGINT');
	ok(poll_until(sub { gather(qw(ls --queue many --state running -o id))->{out} eq '' }), 'cancels all of it');
	is(gather(qw(ls --queue many --state ready -o id))->{out}, '', '... nothing of it waits');
};

subtest 'no daemon' => sub {
	my $alone = Gather::Cli->new(socket => $cli->tmp . '/none');
	for my $arguments ([qw(run noop)], [qw(submit noop)], [ 'show', $never ], ['ls'], ['stats'], ['workers'],
		[qw(fetch http://127.0.0.1/)], ['bench'])
	{
		my $did = $alone->run(@$arguments);
		is($did->{status}, 5, "$arguments->[0]: status 5");
		like($did->{err}, qr/no gatherd at .*none.*start it.*--local/, '... with a remedy');
	}
	# Something that is no gatherd.
	my $listener = IO::Socket::UNIX->new(Local => $cli->tmp . '/other', Listen => 5) or die;
	my $pid = fork // die;
	if (!$pid) {
		while (my $socket = $listener->accept) { print $socket "220 mail ESMTP\r\n"; close $socket }
		POSIX::_exit(0);
	}
	my $did = $alone->run({ env => { GATHER_SOCKET => $cli->tmp . '/other' } }, qw(run noop));
	is($did->{status}, 5, 'something else answers: status 5');
	like($did->{err}, qr/not gatherd/, '... said so');
	kill KILL => $pid;
	waitpid $pid, 0;
	unlink $cli->tmp . '/other';
};

subtest 'not allowed' => sub {
	# As another user, whom the daemon's directory shuts out; if this user has no other, its own socket is shut.
	my $nobody = 65534;
	my $program = File::Temp->new(TEMPLATE => 'gather-XXXXXXXX', TMPDIR => 1);
	copy($cli->program, $program->filename);
	$program->close;
	chmod 0755, $program->filename;
	chmod 0, $daemon->socket if $<;
	my $did = gather({ program => $program->filename, before => $< ? sub { } : sub { POSIX::setuid($nobody) } }, qw(run noop));
	chmod 0660, $daemon->socket if $<;
	is($did->{status}, 4, 'status 4');
	like($did->{err}, qr/not allowed to use .*: only its owner and its group may/, 'says why');
};

subtest 'busy' => sub {
	my $small = Gather::Daemon->new(workers => 1, max_jobs => 1)->start;
	my $other = Gather::Cli->new(socket => $small->socket);
	is($other->run(qw(submit sleep seconds=60))->{status}, 0, 'one job is all that it takes');
	my $did = $other->run(qw(run noop));
	is($did->{status}, 6, 'run: status 6');
	like($did->{err}, qr/refused: .*\n.*try again in \d+/, '... and when to come back');
	is($other->run(qw(submit noop))->{status}, 6, 'submit: status 6');
	$small->kill9;
};

subtest 'the terminal and its absence' => sub {
	my $did = gather({ env => { TERM => 'xterm' } }, qw(ls));
	unlike($did->{out}, qr/\e/, 'no colours into a pipe');
	my $command = $cli->program . ' ls';
	$did = $cli->run({ program => 'script', env => { TERM => 'xterm', NO_COLOR => undef } }, '-qec', $command, '/dev/null');
	like($did->{out}, qr/\e\[\d/, 'colours on a terminal');
	$did = $cli->run({ program => 'script', env => { TERM => 'xterm', NO_COLOR => '1' } }, '-qec', $command, '/dev/null');
	unlike($did->{out}, qr/\e\[\d/, 'but not with NO_COLOR');
};

subtest 'output that nobody takes' => sub {
	my $command = '"$0" ls --limit 5000 | head -n 1; "$0" run hash text=abc >/dev/full; echo "status $?"';
	my $did = $cli->run({ program => 'sh' }, '-c', $command, $cli->program);
	like($did->{out}, qr/^ID .*\nstatus 1\n\z/, 'a closed pipe ends it in silence, a full disk fails');
	like($did->{err}, qr/^gather: cannot write the output: No space left on device\n\z/, 'and is said');
};

subtest '--local' => sub {
	my $local = Gather::Cli->new;
	my $first = $local->run(qw(--local run noop));
	is($first->{status}, 0, 'run') or diag($first->{err});
	is("$first->{out}$first->{err}", '', '... says nothing');
	# The first one finds cold caches.
	my $again = $local->run(qw(--local run noop));
	note(sprintf 'start, a job and the end: %.0f ms', $again->{seconds} * 1000);
	cmp_ok($again->{seconds}, '<', 5, '... within a moment');
	my $did = $local->run(qw(run noop --local -o id));
	like($did->{out}, qr/^$id_pattern\n\z/, '--local behind the verb');
	like($local->run(qw(--local types))->{out}, qr/^sleep +light/m, 'types');
	is($local->run(qw(--local bench -n 100))->{status}, 0, 'bench');
	is($local->run(qw(--local stats))->{status}, 0, 'stats');
	$did = $local->run({ stdin => "0.01\n0.02\n" }, qw(--local map sleep seconds:={} -o id));
	like($did->{out}, qr/^(?:$id_pattern\n){2}\z/, 'map');
	$did = $local->run(qw(--local fetch http://169.254.169.254/));
	is($did->{status}, 1, 'fetch: metadata addresses stay shut');
	like($did->{err}, qr/metadata/, '... and it says why');
	$did = $local->run(qw(--local submit noop));
	is($did->{status}, 2, 'submit is refused');
	like($did->{err}, qr/its job would die.*gather --local run/, '... with what to do instead');
	is($local->run('--local', $_, $never)->{status}, 2, "$_ is refused") for qw(show result wait cancel retry why);
	is($local->run('--local', 'ls')->{status}, 2, 'ls is refused');
	is($local->run(qw(--local run nope))->{status}, 2, 'exit statuses are the same');
	is_deeply([ $local->leftovers ], [], 'nothing is left in the directory for temporary files');
};

# Processes below the command, and how it ends.
sub local_ends {
	my ($name, $signal, $status) = @_;
	my $local = Gather::Cli->new;
	my $process = $local->start(qw(--local run sleep seconds=60));
	my $running = poll_until(
		sub {
			my ($directory) = $local->leftovers;
			return unless $directory;
			my $socket = $local->tmp . "/$directory/s";
			my $stats = $cli->run('--socket', $socket, 'stats', '-o', 'json');
			return $stats->{status} == 0 && from_json($stats->{out})->{jobs}{running} == 1;
		}
	);
	ok($running, "$name: its job runs");
	my @pids = keys %{ Gather::Daemon::below($process->pid) };
	cmp_ok(scalar @pids, '>=', 3, '... in a daemon of its own');
	$process->signal($signal);
	is($process->wait->{status}, $status, '... it ends');
	ok(poll_until(sub { !grep { Gather::Daemon::command_line($_) =~ /gatherd/ } @pids }), '... with all of its processes');
	return $local;
}

subtest '--local, interrupted' => sub {
	my $local = local_ends('SIGINT', 'INT', 130);
	is_deeply([ $local->leftovers ], [], 'nothing is left');
	$local = local_ends('SIGTERM', 'TERM', 143);
	is_deeply([ $local->leftovers ], [], 'nothing is left');
	$local = local_ends('kill -9', 'KILL', 'SIG9');
	# The daemon alone is there to clean up, and it has gone by itself.
	ok(poll_until(sub { !$local->leftovers }), 'not even its directory is left')
		or diag(join "\n", map { "left: $_" } glob $local->tmp . '/*/*');
};

is($daemon->stop, 0, 'the daemon stops');
done_testing;
