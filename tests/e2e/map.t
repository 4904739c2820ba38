# gather map: one job for each line.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Basename qw(dirname);
use Gather::Cli qw(from_json json_lines);
use Gather::Daemon qw(poll_until);
use Gather::WebServer;
use Test::More;
use Time::HiRes qw(time);

my $daemon = Gather::Daemon->new(workers => 2, 'http.allow' => ['127.0.0.1'])->start;
my $cli = Gather::Cli->new(socket => $daemon->socket);
my $log = $cli->tmp . '/log';

sub map_lines {
	my ($lines, @arguments) = @_;
	return $cli->run({ stdin => $lines }, 'map', @arguments);
}

# The echoed values in the order of the output.
sub echoed { return map { $_->{result}{echo} } json_lines($_[0]{out}) }

# A job log as rows of named columns.
sub read_log {
	open my $in, '<', $log or return;
	my @names = split /\t/, <$in> =~ s/\n//r;
	return map {
		my %row;
		@row{@names} = split /\t/, s/\n//r;
		\%row;
	} <$in>;
}

subtest 'the line goes where {} is' => sub {
	my $did = map_lines("a b\n\"q\"\n\n\xc3\xa4\\", qw(noop echo=<{}> -k -o jsonl));
	is($did->{status}, 0, 'taken') or diag($did->{err});
	is_deeply([ echoed($did) ], [ '<a b>', '<"q">', "<\xe4\\>" ], 'as text: each line that is not blank');
	is_deeply([ map { $_->{input} } json_lines($did->{out}) ], [ 'a b', '"q"', "\xe4\\" ], 'the line is told');
	is_deeply([ map { $_->{index} } json_lines($did->{out}) ], [ 0 .. 2 ], '... and its index');
	$did = map_lines("1\n2\n", 'noop', 'echo:={"n":{},"twice":[{},{}]}', qw(-k -o jsonl));
	is_deeply([ echoed($did) ], [ map { { n => $_, twice => [ $_, $_ ] } } 1, 2 ], 'inside JSON, several times');
	$did = map_lines("0.01\n", 'sleep', '-o', 'jsonl');
	is((json_lines($did->{out}))[0]{state}, 'succeeded', 'without {}: the one required argument');
	$did = map_lines("x\r\ny\r\n", qw(noop echo={} -k -o jsonl));
	is_deeply([ map { s/\r//r } echoed($did) ], [qw(x y)], 'lines of DOS');
	is(map_lines('', qw(sleep))->{status}, 0, 'no lines, no jobs');
	is_deeply(from_json(map_lines('', qw(sleep -o json))->{out}), [], '... as JSON: an empty array');
	is(scalar @{ from_json(map_lines("1\n2\n3\n", qw(noop echo={} -o json))->{out}) }, 3, 'json: one array');
	my @ids = split /\n/, map_lines("a\nb\n", qw(noop echo={} -o id))->{out};
	is(scalar @ids, 2, 'id');
	is(map_lines("a\n", qw(noop echo={} -o none))->{out}, '', 'none');
};

subtest 'order' => sub {
	my $lines = "0.4\n0.2\n0\n";
	is_deeply([ map { $_->{input} } json_lines(map_lines($lines, qw(sleep seconds={} -o jsonl))->{out}) ], [qw(0 0.2 0.4)],
		'as they finish');
	is_deeply([ map { $_->{input} } json_lines(map_lines($lines, qw(sleep seconds={} -k -o jsonl))->{out}) ], [qw(0.4 0.2 0)],
		'-k: as they came in');
};

subtest 'at once' => sub {
	my $did = map_lines(join('', map { "$_\n" } 1 .. 1000), qw(sleep seconds=0.5));
	is($did->{status}, 0, 'a thousand sleeps of 0.5 s') or diag($did->{err});
	note(sprintf '%.2f s', $did->{seconds});
	cmp_ok($did->{seconds}, '<', 50, 'take a tenth of the time of one after the other, at most');
	like($did->{err}, qr/1000 done  1000 ok/, 'a summary');
	$did = map_lines("1\n" x 6, qw(sleep seconds=0.1 -j 2));
	cmp_ok($did->{seconds}, '>=', 0.3, '-j 2: two at a time');

	# The list may never end: each line is run as it comes.
	my $fifo = $cli->tmp . '/fifo';
	system('mkfifo', $fifo) == 0 or die 'mkfifo';
	my $process = $cli->start({ program => 'sh' }, '-c', 'exec "$0" map noop echo={} -o jsonl <"$1" | cat', $cli->program, $fifo);
	open my $list, '>', $fifo or die "$fifo: $!";
	for my $line ('one', 'two') {
		syswrite $list, "$line\n";
		ok(poll_until(sub { $process->out =~ /"input":"$line".*\n/ }), "line $line is run before the next one is there");
	}
	close $list;
	is($process->wait->{status}, 0, 'and the end of the list is the end');
	unlink $fifo;
};

subtest 'failures' => sub {
	my $web = Gather::WebServer->new;
	my $did = map_lines(join('', map { $web->url("/status/$_") . "\n" } 200, 404, 200, 503), qw(http url={} -k));
	is($did->{status}, 1, 'status 1');
	is($did->{out}, "status 200\nstatus 200\n", 'the results');
	like($did->{err}, qr{^\S+/status/404: HTTP 404 Not Found\n\S+/status/503: HTTP 503 Service Unavailable\n},
		'the failures, by line');
	like($did->{err}, qr/^4 done  2 ok  2 failed \(1 http 404, 1 http 503\)/m, 'the summary, by kind');
	like($did->{err}, qr/--joblog FILE --resume-failed/, 'and how to rerun them');
	$did = map_lines("0\nsoon\n-1\n", qw(sleep seconds={} -k -o jsonl));
	is($did->{status}, 1, 'refused arguments');
	is_deeply([ map { $_->{error} ? $_->{error}{field} : 'none' } json_lines($did->{out}) ], [qw(none args.seconds args.seconds)],
		'... keep their slots');
	$did = map_lines("\xff\xfe\nok\n", qw(noop echo={} -k));
	is($did->{status}, 1, 'not UTF-8');
	like($did->{err}, qr/UTF-8/, '... is said');
	$did = map_lines("1\n{\n2\n", qw(noop echo:={} -k -o jsonl));
	is_deeply([ map { $_->{error} ? 'error' : 'ok' } json_lines($did->{out}) ], [qw(ok error ok)], 'a line that breaks the JSON');
	is(map_lines("1\n", 'nope')->{status}, 2, 'an unknown type');
	is(map_lines("1\n")->{status}, 2, 'no type');
	like(map_lines('x' x (2 << 20), qw(noop echo={}))->{err}, qr/line 1 is longer than 1 MiB/, 'a line of 2 MiB');
};

subtest 'dry run' => sub {
	my $before = from_json($cli->run(qw(stats -o json))->{out})->{totals}{submitted};
	my $did = map_lines("0.5\n1\n", qw(sleep seconds:={} --dry-run));
	is($did->{status}, 0, 'status 0');
	is_deeply([ json_lines($did->{out}) ], [ map { { type => 'sleep', args => { seconds => $_ } } } 0.5, 1 ], 'the jobs, as JSON');
	is(from_json($cli->run(qw(stats -o json))->{out})->{totals}{submitted}, $before, 'none was run');
	is($cli->run({ stdin => $did->{out} }, 'submit', '-')->{status}, 0, 'and submit takes them');
};

subtest 'the job log' => sub {
	# Answers 500 the first time that a path is asked for, unless it is good.
	my $flaky = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($path) = (Gather::WebServer::read_request($socket))[0] =~ /^GET (\S+)/;
			my $seen = grep { $_ eq $path } $self->notes;
			$self->note($path);
			Gather::WebServer::answer($socket, $path =~ /good/ || $seen ? 200 : 500, "$path\n");
		}
	);
	my @lines = map { $flaky->url($_) } map { ("/good$_", "/bad$_") } 1 .. 10;
	my $list = join '', map { "$_\n" } @lines;
	my $did = map_lines($list, qw(http url={} -j 4 --joblog), $log);
	is($did->{status}, 1, 'ten of twenty fail');
	my @rows = sort { $a->{Seq} <=> $b->{Seq} } read_log();
	is_deeply([ map { $_->{Seq} } @rows ], [ 1 .. 20 ], 'a row for each line');
	is_deeply([ map { $_->{Exitval} } @rows ], [ (0, 1) x 10 ], '... with how it ended');
	is_deeply([ sort keys %{ $rows[0] } ],
		[ sort qw(Seq Host Starttime JobRuntime Send Receive Exitval Signal Command) ], "... in GNU parallel's columns");
	like($rows[0]{Command}, qr{^gather run http url=http://127\.0\.0\.1:\d+/good1$}, '... and the command that runs it alone');
	like($did->{err}, qr/^rerun failures: gather map -j 4 --joblog \S+ --resume-failed http 'url=\{\}' < LIST$/m,
		'the summary tells');

	# What the summary tells, typed into a shell.
	my ($command) = $did->{err} =~ /^rerun failures: (.*)$/m;
	open my $out, '>', $cli->tmp . '/LIST' or die;
	print $out $list;
	close $out;
	my %shell = (program => 'sh', dir => $cli->tmp, env => { PATH => dirname($cli->program) . ":$ENV{PATH}" });
	my $asked = () = $flaky->notes;
	$did = $cli->run({%shell}, '-c', $command);
	is($did->{status}, 0, 'rerun: all succeed') or diag($did->{err});
	is_deeply([ sort split /\n/, $did->{out} ], [ sort map { "/bad$_" } 1 .. 10 ], '... the failed ones');
	is(scalar(() = $flaky->notes) - $asked, 10, '... no other was asked again');
	like($did->{err}, qr/^10 skipped  10 done  10 ok/, '... the others are skipped');
	$did = $cli->run({%shell}, '-c', $command);
	like($did->{err}, qr/^20 skipped  0 done/, 'once more: nothing is left to do');

	# Cut off: the last line is half written, two are missing.
	open my $in, '<', $log or die;
	my @written = <$in>;
	close $in;
	open $out, '>', $log or die;
	print $out @written[ 0 .. 18 ], substr $written[19], 0, 20;
	close $out;
	$did = map_lines($list, qw(http url={} --resume --joblog), $log);
	is($did->{status}, 0, '--resume after a crash') or diag($did->{err});
	like($did->{err}, qr/^18 skipped  2 done  2 ok/, '... runs what the log does not have whole');
	open $out, '>', $log or die;
	print $out "something else\n";
	close $out;
	$did = map_lines($list, qw(http url={} --resume --joblog), $log);
	is($did->{status}, 2, 'a file that is no job log is refused');
	is(-s $log, 15, '... and left alone');
	is(map_lines($list, qw(http url={} --joblog /nope/log))->{status}, 2, 'a log that can not be written');
	unlink $log, $cli->tmp . '/LIST';
};

subtest 'overload' => sub {
	my $small = Gather::Daemon->new(workers => 1, max_jobs => 5)->start;
	my $other = Gather::Cli->new(socket => $small->socket);
	my $did = $other->run({ stdin => join '', map { "$_\n" } 1 .. 15 }, qw(map noop echo={} -j 10 -k -o jsonl));
	is($did->{status}, 0, 'a daemon that takes five at once') or diag($did->{err});
	is_deeply([ echoed($did) ], [ 1 .. 15 ], '... does fifteen: those refused are handed over again');
	is($small->stop, 0, 'it stops');
};

is($daemon->stop, 0, 'the daemon stops');
done_testing;
