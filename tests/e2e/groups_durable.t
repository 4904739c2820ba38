# Groups that are kept: the broker is killed in the middle of each kind, and each ends as if nothing had been.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Cli qw(json_lines);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::WebServer;
use JSON::PP ();
use Test::More;

my $daemon = Gather::Daemon->new(workers => 2, store => 'sqlite', broker_restarts => 20, 'http.allow' => ['*'])->start;
my $socket = $daemon->socket;

sub nap { return { type => 'sleep', args => { seconds => $_[0] } } }
sub noop { return { type => 'noop', args => { echo => $_[0] } } }
sub stats { return (http_json($socket, 'GET', '/v1/stats'))[1] }

sub submit {
	my ($group) = @_;
	my ($status, $answer) = http_json($socket, 'POST', '/v1/groups', { durability => 'fsync', %$group });
	is($status, 201, 'accepted') or diag explain $answer;
	is($answer->{durability}, 'fsync', 'to be kept');
	return $answer->{id};
}

# While the broker is away, nobody answers.
sub show {
	my ($id) = @_;
	my $answer = eval { http($socket, 'GET', "/v1/groups/$id") };
	return unless $answer && $answer->{status};
	return JSON::PP->new->decode($answer->{body});
}

sub becomes {
	my ($id, $what) = @_;
	my $last;
	return poll_until(sub { $last = show($id) // return; $what->($last) && $last }) || diag(explain $last);
}

sub ends { return becomes($_[0], sub { $_[0]{state} && $_[0]{state} !~ /running|blocked/ }) }

sub results {
	my ($id, $query) = @_;
	my @lines = json_lines(http($socket, 'GET', "/v1/groups/$id/results" . ($query // ''))->{body});
	pop @lines;
	return @lines;
}

sub kill_broker {
	my ($pid) = $daemon->role_pids('broker');
	kill KILL => $pid;
	ok(poll_until(sub { my ($new) = $daemon->role_pids('broker'); $new && $new != $pid }), 'the broker is killed and starts again');
}

subtest 'the list has those that the store alone has' => sub {
	my @ids = map { submit({ gather => [ noop($_), { gather => [ noop("inner $_") ] } ] }) } 1 .. 5;
	ends($_) for @ids;
	kill_broker();    # the next one doesn't take what has ended into its memory
	my $running = submit({ gather => [ nap(30) ] });
	my @expected = ($running, reverse @ids);
	my (@listed, $cursor);
	do {
		my ($status, $page) = http_json($socket, 'GET', '/v1/groups?limit=2' . ($cursor ? "&cursor=$cursor" : ''));
		is($status, 200, 'a page');
		push @listed, @{ $page->{groups} };
		$cursor = $page->{cursor};
	} while $cursor && @listed < 20;
	is_deeply([ map { $_->{id} } @listed ], \@expected, 'all, the newest first, each once, without those that are members');
	is_deeply($listed[1], show($ids[4]), 'each as it is shown');
	my (undef, $list) = http_json($socket, 'GET', '/v1/groups?state=succeeded');
	is(scalar @{ $list->{groups} }, 5, 'by a state in which they are kept');
	(undef, $list) = http_json($socket, 'GET', '/v1/groups?state=running');
	is_deeply([ map { $_->{id} } @{ $list->{groups} } ], [$running], 'by one in which they run');
	http_json($socket, 'POST', "/v1/groups/$running/cancel");
	is((http_json($socket, 'GET', "/v1/groups?$_=0"))[0], 400, "$_=0") for qw(limit cursor);
};

subtest 'in the middle of a gather' => sub {
	my $id = submit({ gather => [ noop('before'), nap(1.5), { gather => [ noop('x'), nap(1.5) ] } ] });
	ok(becomes($id, sub { $_[0]{succeeded} == 1 }), 'one has ended');
	kill_broker();
	my $group = ends($id);
	is($group->{state}, 'succeeded', 'it ends');
	is($group->{succeeded}, 3, 'with all its members');
	my @results = results($id);
	is($results[0]{result}{echo}, 'before', 'what had ended before has its result');
	is($results[0]{attempts}, 1, 'and ran once');
	is($results[2]{state}, 'succeeded', 'the inner group has ended');
};

subtest 'in the middle of a chain with references' => sub {
	my $id = submit({ chain => [ noop({ token => 't1' }), { gather => [ noop('{{0#/echo/token}}!') ] }, nap(1.5),
		noop({ '$ref' => '0#/echo/token' }), noop('{{1/0#/echo}}{{3#/echo}}') ] });
	ok(becomes($id, sub { $_[0]{succeeded} == 2 }), 'two have ended');
	kill_broker();
	is(ends($id)->{state}, 'succeeded', 'it ends') or diag explain [ results($id) ];
	my @results = results($id);
	is($results[3]{result}{echo}, 't1', 'results of before the death are there for those behind');
	is($results[4]{result}{echo}, 't1!t1', 'those inside of groups, too');
};

subtest 'in the middle of a wait' => sub {
	my $id = submit({ wait => [ nap(1.5), nap(60) ], until => 'first_completed' });
	ok(poll_until(sub { stats()->{jobs}{running} == 2 }), 'both run');
	kill_broker();
	is(ends($id)->{state}, 'succeeded', 'the first ends it');
	my @results = results($id);
	is_deeply([ map { $_->{state} } @results ], [qw(succeeded running)], 'the other goes on');
	is((http_json($socket, 'POST', "/v1/groups/$id/cancel"))[0], 200, 'until it is cancelled');
	ok(poll_until(sub { stats()->{jobs}{running} == 0 }), 'which ends it');
};

subtest 'in the middle of a map' => sub {
	my $id = submit({ map => nap('{}'), over => [ (0.1) x 30 ], window => 3, order => 'completed' });
	ok(becomes($id, sub { $_[0]{succeeded} >= 6 && $_[0]{succeeded} < 20 }), 'some have ended');
	kill_broker();
	my $group = ends($id);
	is($group->{succeeded}, 30, 'all of them end, made after the death or before');
	my @results = results($id);
	is(scalar(keys %{ { map { $_->{index} => 1 } @results } }), 30, 'each is there once');
};

subtest 'a failure that was being cleaned up, and a timeout' => sub {
	my $failing = submit({ chain => [ nap(0.1), nap({ '$ref' => '0#/nothing' }), noop(1) ] });
	my $timed   = submit({ gather => [ nap(60), nap(60) ], timeout => '3s' });
	ok(poll_until(sub { stats()->{jobs}{running} >= 2 }), 'they run');
	kill_broker();
	is(ends($failing)->{state}, 'failed', 'it has failed');
	is(ends($timed)->{state}, 'expired', 'the time goes on counting');
	ok(poll_until(sub { stats()->{jobs}{running} == 0 }), 'and nothing runs any more');
};

subtest 'a delay in a chain' => sub {
	my $id = submit({ chain => [ nap(1.5), { %{ noop(2) }, delay => '6s' } ] });
	ok(poll_until(sub { stats()->{jobs}{running} == 1 }), 'the first runs, the second is blocked');
	kill_broker();
	is(ends($id)->{state}, 'succeeded', 'it ends');
	my (undef, $job) = http_json($socket, 'GET', '/v1/jobs/' . (results($id))[1]{id});
	my ($from, $to) = map { /T(\d+):(\d+):([\d.]+)Z/ ? $1 * 3600 + $2 * 60 + $3 : 0 } @$job{qw(accepted_at started_at)};
	cmp_ok(($to - $from) % 86400, '>=', 5, 'the second at its time');
};

subtest 'the whole daemon' => sub {
	my $done = submit({ gather => [ noop('kept'), { gather => [ noop('inside') ] } ] });
	is(ends($done)->{state}, 'succeeded', 'one has ended');
	my $id = submit({ chain => [ nap(0.2), nap(2), noop('after') ] });
	ok(becomes($id, sub { $_[0]{succeeded} == 1 }), 'one is under way');
	$daemon->kill9;
	$daemon->start;
	is(ends($id)->{state}, 'succeeded', 'which ends after the restart');
	is((results($id))[2]{result}{echo}, 'after', 'with all its results');
	my $group = show($done);
	is($group->{state}, 'succeeded', 'the other is found in the store');
	is($group->{succeeded}, 2, 'with its counts');
	my @results = results($done);
	is($results[0]{result}{echo}, 'kept', 'and its results');
	is($results[1]{kind}, 'gather', 'the inner group, too');
	my @inner = results($results[1]{id});
	is($inner[0]{result}{echo}, 'inside', '... when it is asked for');
	is((http_json($socket, 'POST', "/v1/groups/$done/cancel"))[0], 409, "what has ended can't be cancelled");
	is((http_json($socket, 'GET', '/v1/groups/01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70'))[0] >= 404, 1, 'and no other is');
};

subtest 'what is retried by hand after a restart finds its inputs' => sub {
	my $web = Gather::WebServer->scripted(
		sub {
			my ($self, $socket, $number) = @_;
			my ($head) = Gather::WebServer::read_request($socket);
			Gather::WebServer::answer($socket, $number == 1 ? (404, 'no') : (200, $head =~ /^GET (\S+)/));
		}
	);
	my $id = submit({ chain => [ noop('a'), { gather => [ { type => 'http', args => { url => $web->url('/{{0#/echo}}/x') } } ] } ] });
	is(ends($id)->{state}, 'failed', 'it fails');
	$daemon->kill9;
	$daemon->start;
	my ($job) = results((results($id))[1]{id});
	is($job->{state}, 'failed', 'that job did');
	is((http_json($socket, 'POST', "/v1/jobs/$job->{id}/retry"))[0], 200, 'once more');
	is((http_json($socket, 'GET', "/v1/jobs/$job->{id}?wait=20s"))[1]{body}, '/a/x', 'with the result it refers to');
};

subtest 'the command takes up again what is left out of a page' => sub {
	my $did = Gather::Cli->new(socket => $socket)->run({ stdin => JSON::PP->new->encode({ durability => 'write',
		gather => [ noop('a'), { gather => [ noop('b') ] } ] }) }, 'group', '-');
	is($did->{out}, qq({"echo":"a"}\n{"echo":"b"}\n), 'printed');
};

$daemon->stop;
done_testing;
