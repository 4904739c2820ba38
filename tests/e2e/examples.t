# The examples do what they say, typed as their texts say.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use File::Temp ();
use Gather::Cli qw(from_json json_lines);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http);
use Gather::WebServer;
use IO::Socket::INET;
use Test::More;
use Time::HiRes qw(time);

my $examples = abs_path(Gather::Daemon::build()) . '/examples';
my $cli = Gather::Cli->new;
my $web = Gather::WebServer->new;
my $dead = 'http://127.0.0.1:' . Gather::WebServer::dead_port() . '/';

sub example {
	my ($name, @arguments) = @_;
	return $cli->run({ program => "$examples/$name" }, @arguments);
}

# The lines of the first ```sh block of a text.
sub commands_of {
	my ($path) = @_;
	open my $in, '<', $path or die "$path: $!";
	my $text = do { local $/; <$in> };
	my ($block) = $text =~ /^```sh\n(.*?)^```/ms or die "$path has no commands";
	return split /\n/, $block;
}

subtest 'greet' => sub {
	my $did = example('greet');
	is($did->{status}, 0, 'succeeds');
	like($did->{out}, qr/\AHello, (Alice|Bob)!\nHello, (Alice|Bob)!\nCarol wasn't .*[Cc]ancel.*: Connection refused\n\z/,
		'greets two, and not the third');
	cmp_ok($did->{seconds}, '>=', 1, 'after one second');
};

subtest 'queue' => sub {
	my $did = example('queue');
	is($did->{status}, 0, 'succeeds');
	my @lines = split /\n/, $did->{out};
	is_deeply([sort { $a <=> $b } map { / delivered (\d+)$/ } @lines[0 .. 11]], [1 .. 12], 'each parcel is delivered once');
	is($lines[12], 'all delivered', '... before the producer says so');
	my %delivered = map { /^(\w+): (\d+)$/ } @lines[13 .. 15];
	is_deeply([sort keys %delivered], [qw(Alice Bob Carol)], 'the workers go home');
	is(scalar(grep { $_ > 0 } values %delivered), 3, 'all of them had work');
	cmp_ok($did->{seconds}, '<', 12 * 0.1, '... at the same time');
};

subtest 'fetch' => sub {
	my $did = example('fetch', $web->url('/delay/300/26'), $web->url('/'), $dead);
	is($did->{status}, 1, 'one of three fails');
	my @lines = split /\n/, $did->{out};
	like($lines[0], qr{/delay/300/26: 200 abcdefghij}, 'the slowest first: the order is that of the arguments');
	like($lines[1], qr{/: 200 Hello}, 'the second');
	like($did->{out}, qr{^\Q$dead\E: .*connect}mi, 'the failure in its place, with its reason');
	is(example('fetch', $web->url('/'))->{status}, 0, 'all well: status 0');
	is(example('fetch')->{status}, 2, 'no URL: status 2');
	my $process = $cli->start({ program => "$examples/fetch" }, $web->url('/delay/60000/1'));
	# Bound to have been asked before it is interrupted.
	ok(poll_until(sub { scalar grep { /^\s*\d+: \S+ \S+:\Q@{[sprintf '%04X', $web->port]}\E 01/ } connections() }), 'it waits');
	$process->signal('INT');
	is($process->wait->{status}, 130, 'Ctrl-C: status 130');
};

sub connections {
	open my $in, '<', '/proc/net/tcp' or return;
	return <$in>;
}

subtest 'pipeline' => sub {
	my $did = example('pipeline', 'seq 100000', 'sort -rn', 'tail -n 3');
	is($did->{out}, "3\n2\n1\n", 'each stage reads what the one before it writes');
	like($did->{err}, qr/^seq 100000: exit status 0\n/, 'each ending is told');
	like($did->{err}, qr/^tail -n 3: exit status 0\n\z/m, '... to the last');
	is($did->{status}, 0, 'all well: status 0');
	$did = example('pipeline', 'yes', 'head -n 1');
	like($did->{err}, qr/^yes: killed by signal 13$/m, 'one that is killed');
	$did = example('pipeline', 'seq 5', 'false', 'cat');
	is($did->{status}, 1, 'one that fails: status 1');
	like($did->{err}, qr/^false: exit status 1$/m, '... and which');
	$did = example('pipeline', 'sleep 100', 'no-such-program');
	is($did->{status}, 1, 'one that is not there');
	like($did->{err}, qr/^pipeline: no-such-program: No such file or directory$/m, '... is named');
	cmp_ok($did->{seconds}, '<', 60, '... and the others are killed');
	is(example('pipeline')->{status}, 2, 'nothing to do: status 2');
	my $process = $cli->start({ program => "$examples/pipeline" }, 'sleep 100', 'tee /dev/stderr');
	ok(poll_until(sub { children($process->pid) == 2 }), 'two run');
	$process->signal('INT');
	is($process->wait->{status}, 130, 'Ctrl-C: status 130');
};

sub children {
	my ($pid) = @_;
	open my $in, '<', "/proc/$pid/task/$pid/children" or return 0;
	my @children = split ' ', <$in> // '';
	return scalar @children;
}

subtest 'executor' => sub {
	my $did = example('executor', 2_000_000);
	is($did->{status}, 0, 'succeeds') or diag($did->{err});
	like($did->{out}, qr/^148933 primes; [1-9]\d* ticks meanwhile\n\z/m, 'counts, and the loop ticks meanwhile');
	$did = example('executor', -1);
	is($did->{status}, 1, 'a failure on the thread');
	like($did->{err}, qr/Numerical argument out of domain/, '... arrives as what it was');
	my $process = $cli->start({ program => "$examples/executor" }, 2_000_000_000);
	ok(poll_until(sub { $process->out =~ /^tick/m }), 'a long one ticks');
	$process->signal('INT');
	is($process->wait->{status}, 130, 'Ctrl-C ends the computation: status 130');
};

subtest 'httpd' => sub {
	my $curl = sub { $cli->run({ program => 'curl' }, '-s', '-m', 20, @_) };
	is($curl->($web->url('/'))->{out}, "Hello from a small server made of coroutines.\n", 'greets');
	is(length $curl->($web->url('/delay/10/100000'))->{out}, 100_000, 'delays, and fills');
	is($curl->('-d', 'abc', $web->url('/echo'))->{out}, 'abc', 'echoes');
	like($curl->('-i', $web->url('/status/418'))->{out}, qr{^HTTP/1\.1 418 }, 'answers with any status');
	is($curl->('-L', $web->url('/redirect/3'))->{out}, "arrived\n", 'redirects');
	like($curl->('-i', $web->url('/nope'))->{out}, qr{^HTTP/1\.1 404 }, 'knows what it has not');
	my $start = time;
	my $many = $curl->('--parallel', '--parallel-max', '50', '-o', '/dev/null', $web->url('/delay/200/1?[1-50]'));
	is($many->{status}, 0, 'fifty at once');
	cmp_ok(time - $start, '<', 8, '... are served at once');
	is(example('httpd', '--port', '99999')->{status}, 2, 'a port that is none');
	is(example('httpd', '--port', $web->port)->{status}, 1, 'a port that is taken');
};

subtest 'echo' => sub {
	my $process = $cli->start({ program => "$examples/echo" });
	my ($port) = poll_until(sub { $process->out =~ /^listening on 127\.0\.0\.1:(\d+)$/m && $1 });
	ok($port, 'says where it listens');
	my @clients = map { IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port", Timeout => 20) // die "connect: $@" } 1 .. 3;
	for my $client (@clients) {
		$client->print('hello, ' . $client->sockport);
		$client->flush;
	}
	for my $client (reverse @clients) {
		my $want = 'hello, ' . $client->sockport;
		read $client, my $got, length $want;
		is($got, $want, 'sends back');
	}
	shutdown $clients[0], 1;
	is(read($clients[0], my $rest, 1), 0, 'its end follows that of the client');
	is(example('echo', $port)->{status}, 1, 'a port that is taken');
	is(example('echo', '99999')->{status}, 2, 'a port that is none');
	$process->signal('TERM');
	is($process->wait->{status}, 0, 'SIGTERM ends it, clients or not');
	is(read($clients[1], $rest, 1) // 0, 0, '... and them');
	$process = $cli->start({ program => "$examples/echo" });
	poll_until(sub { $process->out =~ /listening/ });
	$process->signal('INT');
	is($process->wait->{status}, 0, 'SIGINT, too');
};

# A CA, and a server's certificate by it for localhost: (ca, key and certificate).
sub certificates {
	my $dir = $cli->tmp;
	my $ec = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes';

	system(<<"END") == 0 or die 'openssl makes no certificates';
exec >$dir/openssl.log 2>&1
openssl req -x509 $ec -days 2 -subj /CN=authority -keyout $dir/ca.key -out $dir/ca.pem &&
openssl req $ec -subj /CN=server -keyout $dir/server.key -out $dir/server.csr &&
echo subjectAltName=DNS:localhost >$dir/names &&
openssl x509 -req -in $dir/server.csr -CA $dir/ca.pem -CAkey $dir/ca.key -days 2 -extfile $dir/names -out $dir/server.crt &&
cat $dir/server.key $dir/server.crt >$dir/server.pem
END
	return ("$dir/ca.pem", "$dir/server.pem");
}

subtest 'tls_client' => sub {
	my ($ca, $pem) = certificates();
	my $server = $cli->start({ program => 'openssl', limit => 5 }, 's_server', '-accept', '127.0.0.1:0', '-www', '-key', $pem,
		'-cert', $pem);
	my $port = poll_until(sub { $server->out =~ /^ACCEPT 127\.0\.0\.1:(\d+)/m && $1 });
	my $did = example('tls_client', '--ca', $ca, 'localhost', $port, '/');
	is($did->{status}, 0, 'succeeds') or diag($did->{err});
	like($did->{out}, qr{^HTTP/1\.0 200 ok\r\n.*s_server.*</html>}si, 'prints the page to its end');
	like($did->{err}, qr/^TLSv1\.3, CN=server$/m, 'tells with whom it talked');
	for (
		[qr/localhost:\d+: the certificate of localhost is signed by nobody that is trusted$/m, 'localhost', $port],
		[qr/^tls_client: 127\.0\.0\.1:\d+: the certificate is not for 127\.0\.0\.1$/m, '--ca', $ca, '127.0.0.1', $port],
		[qr/no trusted certificates in nowhere: No such file/, '--ca', 'nowhere', 'localhost', $port],
		[qr/Connection refused/, 'localhost', $dead =~ /(\d+)\/$/],
		)
	{
		my ($why, @arguments) = @$_;
		$did = example('tls_client', @arguments);
		is($did->{status}, 1, "fails: @arguments");
		like($did->{err}, $why, '... and says why');
	}
	is(example('tls_client')->{status}, 2, 'no host: status 2');
};

subtest 'a handler of your own' => sub {
	my ($compile, $serve, $run, @more) = commands_of('examples/handlers/README.md');
	is_deeply(\@more, [], 'three lines');
	# In its directory, as it lies in the tree.
	my $dir = $cli->tmp . '/examples/handlers';
	my $source = abs_path('.');
	is(system('mkdir', '-p', $dir, $cli->tmp . '/run'), 0, 'a directory');
	is(system('cp', 'examples/handlers/wordcount.c', $dir), 0, 'its source');
	symlink "$source/include", $cli->tmp . '/include' or die "include: $!";
	my $bin = $cli->program =~ s{/gather$}{}r;
	my %shell = (program => 'sh', dir => $dir, env => { PATH => "$bin:$ENV{PATH}", XDG_RUNTIME_DIR => $cli->tmp . '/run' });
	my $built = $cli->run({%shell}, '-c', "$compile -Wall -Wextra -Werror");
	is($built->{status}, 0, "1: $compile") or diag($built->{err});

	# The second line, in the foreground; the socket is what it prints.
	$serve =~ s/ *&.*//;
	my $daemon = $cli->start({%shell}, '-c', "exec $serve -o 'http.allow=127.0.0.1' -o workers=1");
	my $socket = poll_until(sub { $daemon->out =~ /^socket: (\S+)$/m && $1 });
	ok($socket, "2: $serve") or diag($daemon->err);
	my ($try) = $daemon->out =~ /^try: +(.*)$/m;
	my ($or) = $daemon->out =~ /^or: +(.*)$/m;
	my $url = $web->url('/');
	my $did = $cli->run({%shell}, '-c', $run =~ s{https://example\.com/}{$url}r =~ s/=\.\.\./=$socket/r . ' -o json');
	is($did->{status}, 0, "3: $run") or diag($did->{err});
	is(from_json($did->{out})->{result}{words}, 8, 'counts the words of the page');
	$shell{env}{GATHER_SOCKET} = $socket;
	$did = $cli->run({%shell}, '-c', 'gather run wordcount --help');
	like($did->{out}, qr/url.*the page.*least.*count words of so many letters/s, 'has help from its table');
	$did = $cli->run({%shell}, '-c', 'gather run wordcount');
	is($did->{status}, 2, 'has its arguments checked');
	like($did->{err}, qr/url/, '... by name');
	$did = $cli->run({%shell}, '-c', "gather run wordcount url=$dead");
	is($did->{status}, 1, 'says what failed');
	like($did->{err}, qr/connect/i, '... and why');
	$did = $cli->run({%shell}, '-c', 'gather run wordcount url=http://10.0.0.1/');
	like($did->{err}, qr/private.*http\.allow/, 'obeys the address policy');
	$did = $cli->run({%shell}, '-c', $try);
	is($did->{status}, 0, 'what gatherd --dev says to try, works') or diag("$try: $did->{err}");
	$did = $cli->run({%shell}, '-c', $or);
	like($did->{out}, qr/"name":"wordcount"/, '... and the other one') or diag("$or: $did->{err}");
	$daemon->signal('INT');
	is($daemon->wait->{status}, 0, 'Ctrl-C ends it');
	is($cli->run('--socket', $socket, 'run', 'noop')->{status}, 5, 'and it is gone');
};

subtest 'any language, by the README' => sub {
	my $daemon = Gather::Daemon->new(workers => 1, 'http.allow' => ['127.0.0.1'])->start;
	my %shell = (program => 'sh', env => { SOCKET => $daemon->socket });
	open my $in, '<', 'README.md' or die "README.md: $!";
	my $readme = do { local $/; <$in> };
	my ($curl) = $readme =~ /^(?:\$ )?(curl --unix-socket .*)$/m;
	my $url = $web->url('/');
	my $did = $cli->run({%shell}, '-c', $curl =~ s{https://example\.com/}{$url}r);
	is(from_json($did->{out})->{body}, "Hello from a small server made of coroutines.\n", 'curl') or diag("$curl: $did->{err}");
	my ($nc) = $readme =~ /^(?:\$ )?(echo .* \| nc .*)$/m;
	$did = $cli->run({%shell}, '-c', $nc =~ s/"seconds":1/"seconds":0.1/r);
	is((json_lines($did->{out}))[0]{state}, 'succeeded', 'nc') or diag("$nc: $did->{err}");
	is($daemon->stop, 0, 'it stops');
};

done_testing;
