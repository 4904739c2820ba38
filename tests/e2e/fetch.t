# gather fetch: all at once, printed in order, each failure in its place.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use File::Basename qw(dirname);
use Gather::Cli qw(from_json json_lines);
use Gather::Daemon qw(poll_until);
use Gather::WebServer;
use Test::More;

my $web = Gather::WebServer->new;
my $daemon = Gather::Daemon->new(workers => 2, 'http.allow' => ['127.0.0.0/8'])->start;
my $cli = Gather::Cli->new(socket => $daemon->socket);
my $dead = 'http://127.0.0.1:' . Gather::WebServer::dead_port() . '/';
my $dead_pattern = qr/\Q$dead\E: Failed to connect to 127\.0\.0\.1 port \d+.*\n/;

sub url { return $web->url(@_) }
sub fetch { return $cli->run(ref $_[0] ? shift : (), 'fetch', @_) }

# The lines "status  bytes B  ms ms  URL" as [status, bytes, URL].
sub table { return map { /^(\S+)  (\d+) B  \d+ ms  (\S+)$/ ? [ $1, $2, $3 ] : [$_] } split /\n/, $_[0] }

subtest 'one URL' => sub {
	my $did = fetch(url('/delay/0/64'));
	is($did->{status}, 0, 'is fetched') or diag($did->{err});
	is($did->{out}, join('', map { chr(ord('a') + $_ % 26) } 0 .. 62) . "\n", 'its body is the output, nothing added');
	is($did->{err}, '', 'nothing else is said');
	$did = fetch('--head', 5, url('/delay/0/64'));
	is((split /\n/, $did->{out})[1], 'abcde', '--head: the first characters');
	$did = fetch(url('/status/404'));
	is($did->{status}, 1, '404: status 1');
	is($did->{out}, '', '... no output');
	is($did->{err}, url('/status/404') . ": HTTP 404 Not Found\n", '... but the reason');
	$did = fetch('-o', 'id', url());
	like($did->{out}, qr/^[0-9a-f-]{36}\n\z/, '-o id');
	is(fetch('-o', 'none', url())->{out}, '', '-o none');
};

subtest 'in the order of the arguments' => sub {
	my @urls = map { url("/delay/$_->[0]/$_->[1]") } [ 300, 1 ], [ 150, 2 ], [ 0, 3 ];
	my $did = fetch(@urls);
	is($did->{status}, 0, 'all three');
	is_deeply([ table($did->{out}) ], [ map { [ 200, $_ + 1, $urls[$_] ] } 0 .. 2 ], 'the slowest first, as given');
	like($did->{err}, qr/^3 done  3 ok  \d+ ms\n\z/, 'a summary') or diag($did->{err});
	$did = fetch('-q', @urls);
	is($did->{err}, '', '--quiet: none');
};

subtest 'ranges' => sub {
	my $did = fetch(url('/echo?[1-3]{a,b}[08-10]'));
	my @found = map { $_->[2] } table($did->{out});
	my @wanted;
	for my $n (1 .. 3) { for my $c ('a', 'b') { push @wanted, url("/echo?$n$c$_") for qw(08 09 10) } }
	is_deeply(\@found, \@wanted, 'each of them, the last varies fastest');
	is(scalar table(fetch(url('/echo?[a-z]'))->{out}), 26, 'letters');
	is(scalar table(fetch(url('/echo?[0-100:25]'))->{out}), 5, 'steps');
	$did = fetch(url('/echo?[1-'));
	is($did->{status}, 2, 'half a range: status 2');
	like($did->{err}, qr/column \d+.*--globoff/, '... says where, and what helps');
	for my $literal ([ '--globoff', url('/echo?[1-3]{a,b}') ], [ url('/echo?\[1-3\]\{a,b\}') ]) {
		$did = fetch('-o', 'jsonl', @$literal);
		is_deeply([ map { "$_->{status} $_->{url}" } json_lines($did->{out}) ], [ '200 ' . url('/echo?[1-3]{a,b}') ],
			"literally: $literal->[0]");
	}
};

subtest 'standard input' => sub {
	my @urls = map { url("/echo?$_") } 1 .. 3;
	my $did = fetch({ stdin => "$urls[0]\n$urls[1]\n" }, '-', $urls[2]);
	is_deeply([ map { $_->[2] } table($did->{out}) ], \@urls, 'its lines stand where the - is');
	$did = fetch({ stdin => url('/echo?[1-3]') . "\n" }, '-o', 'jsonl', '-');
	is_deeply([ map { $_->{url} } json_lines($did->{out}) ], [ url('/echo?[1-3]') ], 'and mean themselves');
	is(fetch({ stdin => '' }, '-')->{status}, 0, 'none');
	is(fetch('-', '-')->{status}, 2, 'twice is refused');
	is(fetch()->{status}, 2, 'no URL at all is refused');
};

subtest 'as data' => sub {
	my $did = fetch('-o', 'jsonl', url('/delay/100/64'), $dead, url('/status/503'), 'ftp://x/', url('/echo'));
	is($did->{status}, 1, 'some failed');
	my @found = json_lines($did->{out});
	is(scalar @found, 5, 'a line each');
	for my $object (@found) {
		is_deeply([ sort keys %$object ], [ sort qw(index url status bytes elapsed_ms error) ], "the fields of $object->{index}");
	}
	is_deeply([ map { $_->{index} } @found ], [ 0 .. 4 ], 'in order');
	is_deeply([ map { $_->{status} } @found ], [ 200, undef, 503, undef, 200 ], 'status');
	is_deeply([ map { $_->{error} ? $_->{error}{code} : undef } @found ],
		[ undef, 'connect_failed', 'http_status', 'bad_url', undef ], 'error');
	is($found[0]{bytes}, 64, 'bytes');
	cmp_ok($found[0]{elapsed_ms}, '>=', 100, 'elapsed_ms');
	$did = fetch('-o', 'json', url('/echo?[1-3]'));
	is_deeply([ map { $_->{index} } @{ from_json($did->{out}) } ], [ 0 .. 2 ], 'json: one array');
	is_deeply(from_json(fetch({ stdin => '' }, '-o', 'json', '-')->{out}), [], '... of none, too');
	$did = fetch('-o', 'jsonl', '--body', '-X', 'PUT', '-d', "\xc3\xa4", url('/echo'));
	is((json_lines($did->{out}))[0]{body}, "\xe4", '--body: with the body');
};

subtest 'the request' => sub {
	my $did = fetch('-H', 'X-One: 1', '--header=X-Two:2', url('/headers'));
	like($did->{out}, qr/^X-One: 1\r\n/m, '--header');
	like($did->{out}, qr/^X-Two: 2\r\n/m, '... twice');
	is(fetch('-d', 'some text', url('/echo'))->{out}, 'some text', '--data');
	my $file = $cli->tmp . '/body';
	open my $out, '>', $file or die;
	print $out "\0\xff\n";
	close $out;
	is(fetch('-d', "\@$file", url('/echo'))->{out}, "\0\xff\n", '--data @FILE, any bytes');
	unlink $file;
	is(fetch('--follow', 0, url('/redirect/1'))->{status}, 1, '--follow 0');
	is(fetch(url('/redirect/5'))->{out}, "arrived\n", 'five redirects are followed');
	like(fetch(url('/redirect/6'))->{err}, qr/redirect/, 'six are not');
	like(fetch('--max-body', '1KiB', url('/delay/0/2000'))->{err}, qr/1024|1 ?KiB/, '--max-body');
	my $slow = fetch('--timeout', '100ms', url('/delay/60000/1'));
	is($slow->{status}, 1, '--timeout');
	like($slow->{err}, qr/timeout of 100ms/, '... says so');
	like(fetch('-H', 'nonsense', url())->{err}, qr/--header takes/, 'a header without a colon');
	like(fetch('--head', 'x', url())->{err}, qr/--head takes/, '--head without a number');
};

subtest 'files' => sub {
	my $dir = $cli->tmp . '/pages';
	my @bad = map { url("/delay/0/$_->[0]?$_->[1]") } [ 1, '../../../etc/x' ], [ 2, "\xc3\xa4%00;rm%20-rf" ], [ 3, 'y' x 5000 ];
	my $did = fetch({ stdin => join "\n", @bad }, '--output-dir', $dir, '-');
	is($did->{status}, 0, '--output-dir') or diag($did->{err});
	opendir my $in, $dir or die "$dir: $!";
	my @names = sort grep { !/^\.\.?$/ } readdir $in;
	is(scalar @names, 3, 'a file each, in the directory');
	is(scalar(grep { /^00000[123]-[A-Za-z0-9._-]{1,250}$/ } @names), 3, 'by safe names') or diag("@names");
	is_deeply([ map { -s "$dir/$_" } @names ], [ 1, 2, 3 ], 'with the bodies');
	$did = fetch('--output-dir', $cli->program, url());
	is($did->{status}, 2, 'a directory that is none is refused');
	like($did->{err}, qr/Not a directory/, '... and said');
	system 'rm', '-rf', $dir;
};

subtest 'one dead host' => sub {
	my ($first, $last) = (url('/delay/100/1'), url('/delay/0/2'));
	# Both streams in one place, as on a terminal.
	my $did = $cli->run({ program => 'sh' }, '-c', 'exec "$0" fetch "$@" 2>&1', $cli->program, $first, $dead, $last);
	is($did->{status}, 1, 'status 1');
	like($did->{out}, qr/\A200  1 B  \d+ ms  \Q$first\E\n${dead_pattern}200  2 B  \d+ ms  \Q$last\E\n/,
		'two results in order, one error in its place');
	like($did->{out}, qr/^3 done  2 ok  1 failed \(1 connect_failed\)  \d+ ms\n/m, 'a summary by kind');
	like($did->{out}, qr/^rerun failures: gather fetch \Q$dead\E\n\z/m, 'and what reruns the failure');
};

# The command that the summary gives, typed into a shell.
sub rerun {
	my ($did) = @_;
	my ($command) = $did->{err} =~ /^rerun failures: (.*)$/m;
	ok($command, 'a command to rerun') or return { status => -1, out => '', err => $did->{err} };
	return $cli->run({ program => 'sh', env => { PATH => dirname($cli->program) . ":$ENV{PATH}" } }, '-c', $command);
}

subtest 'what reruns the failures, does' => sub {
	# Each URL fails once, and is answered from then on.
	my $flaky = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($head) = Gather::WebServer::read_request($socket);
			my ($path) = $head =~ /^GET (\S+)/;
			my $seen = grep { $_ eq $path } $self->notes;
			$self->note($path);
			Gather::WebServer::answer($socket, $seen || $path =~ /good/ ? 200 : 500, $path);
		}
	);
	my $did = fetch('--head', 100, '-j', 1, $flaky->url('/good1'), $flaky->url("/it's?a=1&b=\$HOME"), $flaky->url('/good2'));
	is($did->{status}, 1, 'one failed');
	my $again = rerun($did);
	is($again->{status}, 0, 'it succeeds') or diag($again->{err});
	is((split /\n/, $again->{out})[1], "/it's?a=1&b=\$HOME", 'and is the same, quoted, with the same flags');

	$did = fetch({ stdin => $flaky->url('/set{1,2}[3]') . "\n" . $flaky->url('/good3') . "\n" }, '-');
	$again = rerun($did);
	is($again->{status}, 0, 'a URL of standard input that looks like a range') or diag($did->{err}, $again->{err});
	is($again->{out}, '/set{1,2}[3]', 'is the same');

	my $log = $cli->tmp . '/log';
	$did = fetch('--joblog', $log, $flaky->url('/fail[1-40]'), $flaky->url('/good[1-40]'));
	is($did->{status}, 1, 'forty failed');
	$again = rerun($did);
	is($again->{status}, 0, 'with a job log') or diag($again->{err});
	is_deeply([ map { $_->[2] } table($again->{out}) ], [ map { $flaky->url("/fail$_") } 1 .. 40 ], 'those forty, no other');
	unlink $log;
	like(fetch($flaky->url('/more[1-40]'), $flaky->url('/good'))->{err}, qr/to rerun failures only: --joblog FILE/,
		'many without one: how to next time');
};

subtest 'two thousand of 50 ms' => sub {
	my $did = fetch('-j', 1000, url('/delay/50/100?[1-2000]'));
	is($did->{status}, 0, 'are fetched') or diag(substr $did->{err}, -500);
	is_deeply([ map { $_->[2] } table($did->{out}) ], [ map { url("/delay/50/100?$_") } 1 .. 2000 ], 'in order');
	note(sprintf '%.2f s', $did->{seconds});
	cmp_ok($did->{seconds}, '<', 50, 'at least twice as fast as one after the other');
};

subtest 'progress is for terminals' => sub {
	my $command = join ' ', $cli->program, 'fetch', '-j', 5, "'" . url('/delay/200/10?[1-20]') . "'";
	my $terminal = $cli->run({ program => 'script' }, '-qec', "$command >" . $cli->tmp . '/pages', '/dev/null');
	is($terminal->{status}, 0, 'on a terminal');
	like($terminal->{out}, qr{\r\[#+\.+\] \d+/20  \d+%}, 'a bar');
	like($terminal->{out}, qr/20 done  20 ok/, 'and the summary');
	my $quiet = $cli->run({ program => 'script' }, '-qec', "$command -q >" . $cli->tmp . '/pages', '/dev/null');
	is($quiet->{out}, '', '--quiet: neither');
	my $did = $cli->run({ program => 'sh' }, '-c', $command);
	unlike($did->{err}, qr/[\r\[%]/, 'none into a pipe');
	unlink $cli->tmp . '/pages';
};

subtest 'redirects to what is shut, a daemon that goes' => sub {
	my $did = fetch(url('/redirect?to=http%3A%2F%2F169.254.169.254%2F'));
	like($did->{err}, qr/169\.254\.169\.254.*metadata/, 'metadata by a redirect is refused');
	my $process = $cli->start('fetch', url('/delay/60000/1?[1-10]'));
	ok(poll_until(sub { from_json($cli->run(qw(stats -o json))->{out})->{jobs}{running} == 10 }), 'ten are under way');
	$daemon->kill9;
	$did = $process->wait;
	is($did->{status}, 5, 'the daemon dies: status 5');
	like($did->{err}, qr/closed the connection/, 'and the reason');
};

done_testing;
