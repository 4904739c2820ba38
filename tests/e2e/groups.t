# Groups over a socket: gather, wait, chain, map; by HTTP, by lines, by the command.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Cli qw(json_lines from_json);
use Gather::Daemon qw(poll_until);
use Gather::Http qw(http http_json);
use Gather::Lines;
use Gather::WebServer;
use JSON::PP ();
use Test::More;
use Time::HiRes qw(time);

my $daemon = Gather::Daemon->new(workers => 2, 'http.allow' => ['*'])->start;
my $socket = $daemon->socket;
my $cli    = Gather::Cli->new(socket => $socket);
my %memory = (durability => 'memory');

ok(poll_until(sub { http($socket, 'GET', '/readyz')->{status} == 200 }), 'the workers are there');

sub job { my ($type, %args) = @_; return { type => $type, args => \%args } }
sub nap { return job(sleep => seconds => $_[0]) }
sub noop { return job(noop => echo => $_[0]) }

# A server whose every answer is this.
sub web_of {
	my ($body) = @_;
	return Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			Gather::WebServer::read_request($socket);
			Gather::WebServer::answer($socket, 200, $body);
		}
	);
}

# The whole of it, once it has ended.
sub run_group {
	my ($group) = @_;
	my ($status, $answer) = http_json($socket, 'POST', '/v1/groups?wait=20s', $group);
	is($status, 200, 'it ends in time') or diag explain $answer;
	return $answer;
}

sub submit {
	my ($group) = @_;
	my ($status, $answer) = http_json($socket, 'POST', '/v1/groups', { %memory, %$group });
	is($status, 201, 'accepted') or diag explain $answer;
	return $answer->{id};
}

sub show { return (http_json($socket, 'GET', "/v1/groups/$_[0]"))[1] }

sub ends {
	my ($id) = @_;
	return poll_until(sub { my $g = show($id); $g->{state} !~ /running|blocked/ && $g });
}

sub states { return [ map { $_->{state} } @{ $_[0]{results} } ] }

# A page of results as lines: the results, and what the last line says.
sub page {
	my ($id, $query) = @_;
	my $answer = http($socket, 'GET', "/v1/groups/$id/results" . ($query // ''));
	my @lines = json_lines($answer->{body});
	is($answer->{headers}{'content-type'}, 'application/x-ndjson', 'lines');
	return (pop @lines, @lines);
}

subtest 'gather' => sub {
	my $began = time;
	my $group = run_group({ gather => [ nap(0.3), nap(0.3), noop('third') ] });
	cmp_ok(time - $began, '<', 0.6, 'its members run at once');
	is($group->{state}, 'succeeded', 'it succeeded');
	is($group->{kind}, 'gather', 'what it is, is said');
	is_deeply([ map { $_->{index} } @{ $group->{results} } ], [ 0, 1, 2 ], 'results are in the order given');
	is($group->{results}[2]{result}{echo}, 'third', 'each with what it gave');

	$group = run_group({ gather => [] });
	is($group->{state}, 'succeeded', 'an empty one ends at once');
	is_deeply($group->{results}, [], 'with nothing');

	$began = time;
	$group = run_group({ gather => [ nap(30), job(http => url => 'http://127.0.0.1:1/'), nap(30) ] });
	cmp_ok(time - $began, '<', 10, 'the first error cancels the siblings');
	is($group->{state}, 'failed', 'and is the end of it');
	is_deeply(states($group), [qw(cancelled failed cancelled)], 'after they have ended');
	like($group->{error}{message}, qr/^member 1: /, 'it says whose error it was');

	$group = run_group({ gather => [ nap(0.1), job(http => url => 'http://127.0.0.1:1/') ], return_exceptions => JSON::PP::true });
	is($group->{state}, 'succeeded', 'return_exceptions: errors are results');
	is_deeply(states($group), [qw(succeeded failed)], 'in their slots');
	ok($group->{results}[1]{error}{code}, 'with what went wrong');

	$group = run_group({ gather => [ nap(30), noop(1) ], timeout => '200ms' });
	is($group->{state}, 'expired', 'its timeout ends it');
	is_deeply(states($group), [qw(cancelled succeeded)], 'and what still ran');
};

subtest 'wait' => sub {
	my $group = run_group({ wait => [ nap(30), noop(1) ], until => 'first_completed' });
	is($group->{state}, 'succeeded', 'the first is enough');
	is_deeply(states($group), [qw(running succeeded)], 'the other goes on');
	my (undef, $left) = http_json($socket, 'GET', "/v1/jobs/$group->{results}[0]{id}");
	is_deeply([ @$left{qw(group member)} ], [ $group->{id}, 0 ], 'and says where it belongs');
	my ($status) = http_json($socket, 'POST', "/v1/groups/$group->{id}/cancel");
	is($status, 200, 'until the group is cancelled');
	ok(poll_until(sub { (http_json($socket, 'GET', "/v1/jobs/$group->{results}[0]{id}"))[1]{state} eq 'cancelled' }),
		'which ends it, too');
	($status) = http_json($socket, 'POST', "/v1/groups/$group->{id}/cancel");
	is($status, 409, 'then there is nothing left to cancel');

	$group = run_group({ wait => [ nap(30), noop(1), noop(2) ], until => 2, cancel_rest => JSON::PP::true });
	is_deeply(states($group), [qw(cancelled succeeded succeeded)], 'a number, and the rest cancelled');
	$group = run_group({ wait => [ nap(30), job(http => url => 'http://127.0.0.1:1/') ], until => 'first_exception',
		cancel_rest => JSON::PP::true });
	is_deeply(states($group), [qw(cancelled failed)], 'until the first error');
	is($group->{state}, 'succeeded', "which wait doesn't raise");
	$group = run_group({ wait => [ nap(0.2), nap(30) ], timeout => '500ms' });
	ok($group->{timed_out}, 'a timeout is said');
	is_deeply(states($group), [qw(succeeded running)], 'and cancels nothing');
	http_json($socket, 'POST', "/v1/groups/$group->{id}/cancel");
};

subtest 'chain and references' => sub {
	my $web = Gather::WebServer->scripted(
		sub {
			my ($self, $socket) = @_;
			my ($head) = Gather::WebServer::read_request($socket);
			my ($path) = $head =~ /^GET (\S+)/;
			my ($who)  = $head =~ /^Authorization: (.*?)\r/mi;
			return Gather::WebServer::answer($socket, 200, '{"token":"s3cret","list":[1,{"a/b":true}]}', 'X-Next: n7')
				if $path eq '/login';
			return Gather::WebServer::answer($socket, 200, "$who $path");
		}
	);
	my $url = $web->url('');
	my $group = run_group({ chain => [
		job(http => url => "$url/login"),
		job(http => url => "$url/{{0#/headers/x-next}}", headers => { Authorization => 'Bearer {{0#/json/token}}' }),
		noop({ '$ref' => '0#/json/list/1/a~1b' }),
		noop([ { '$ref' => '0#/status' }, 'after {{1#/body}}' ]),
	] });
	is($group->{state}, 'succeeded', 'it ends well') or diag explain $group;
	is($group->{results}[1]{body}, 'Bearer s3cret /n7', 'a header and a path made of earlier results');
	is($group->{results}[2]{result}{echo}, JSON::PP::true, 'a value keeps its type');
	is_deeply($group->{results}[3]{result}{echo}, [ 200, 'after Bearer s3cret /n7' ], 'deep inside, too');

	$group = run_group({ chain => [ noop({ n => 'no number' }), nap({ '$ref' => '0#/echo/n' }), noop(3) ] });
	is($group->{state}, 'failed', 'what comes in is checked again');
	is($group->{results}[1]{error}{code}, 'bad_argument', 'as arguments are');
	is($group->{results}[1]{attempts}, 1, 'once');
	is($group->{results}[2]{state}, 'cancelled', 'the rest never runs');
	is($group->{results}[2]{attempts}, 0, '... at all');
	$group = run_group({ chain => [ noop(1), noop({ '$ref' => '0#/json/token' }) ] });
	like($group->{results}[1]{error}{message}, qr{0#/json/token.*no such value}, 'what is missing is named');

	$group = run_group({ chain => [
		{ gather => [ noop('a'), { chain => [ noop('b'), noop('{{0#/echo}}c') ] } ] },
		{ map => job(noop => echo => '{}-{{0/0#/echo}}{{0/1/1#/echo}}'), over => [ 'x', 'y' ] },
		{ gather => [ noop({ '$ref' => '1/1#/echo' }) ] },
	] });
	is($group->{state}, 'succeeded', 'groups nest') or diag explain $group;
	is($group->{results}[1]{results}[1]{result}{echo}, 'y-abc', 'a map in a chain');
	is($group->{results}[2]{results}[0]{result}{echo}, 'y-abc', 'a reference into a group');
};

subtest 'inputs that are too large' => sub {
	my $web   = web_of('x' x 700_000);
	my $group = run_group({ chain => [
		job(http => url => $web->url('/')), job(http => url => $web->url('/')),
		noop('{{0#/body}}{{1#/body}}'),
	] });
	is($group->{results}[2]{error}{code}, 'inputs_too_large', 'that job fails');
	is($group->{results}[2]{attempts}, 1, 'once');
};

subtest 'map' => sub {
	my $group = run_group({ map => job(noop => echo => { id => '{}', text => 'n{}' }), over => [ 1 .. 25 ], window => 4 });
	is($group->{state}, 'succeeded', 'it ends well');
	is_deeply($group->{results}[24]{result}{echo}, { id => 25, text => 'n25' }, 'one for each');
	$group = run_group({ map => job('sleep'), over => [ 0.1, 30, 0 ], window => 3, return_exceptions => JSON::PP::false,
		timeout => '300ms' });
	is_deeply(states($group), [qw(succeeded cancelled succeeded)], 'a bare value is for the argument that is missing');

	my $id = submit({ map => nap('{}'), over => [ 0.4, 0.05, 0.2 ], window => 3, order => 'completed' });
	my ($end, @lines) = page($id, '?follow=true');
	is($lines[0]{index}, 1, 'the quickest is told first');
	($end, @lines) = page($id, "?follow=true&cursor=$end->{cursor}") until !$end->{more};
	is($end->{group}{state}, 'succeeded', 'and the end is told');
	($end, @lines) = page($id);
	is_deeply([ map { $_->{index} } @lines ], [ 1, 2, 0 ], 'in the order of their ends');
	($end, @lines) = page($id, '?order=input');
	is_deeply([ map { $_->{index} } @lines ], [ 0, 1, 2 ], 'or as given');
};

subtest 'results, page by page' => sub {
	my $id = submit({ gather => [ noop(0), nap(0.4), noop(2) ] });
	my ($end, @lines) = page($id, '?follow=true&wait=10s');
	is_deeply([ map { $_->{index} } @lines ], [0], 'what there is comes at once');
	ok($end->{more}, 'more is to come');
	($end, @lines) = page($id, "?follow=true&wait=50ms&cursor=1");
	is_deeply(\@lines, [], 'a wait that is over gives nothing');
	is($end->{cursor}, 1, 'and the same cursor');
	($end, @lines) = page($id, "?follow=true&wait=10s&cursor=1");
	is_deeply([ map { $_->{index} } @lines ], [ 1, 2 ], 'the next come when they are ready, in order');
	($end) = page($id, "?follow=true&cursor=3") if $end->{more};
	ok(!$end->{more}, 'then that was all');
	($end, @lines) = page($id, '?cursor=1&limit=1');
	is_deeply([ map { $_->{index} } @lines ], [1], 'any part can be had again');
	my (undef, $array) = http_json($socket, 'GET', "/v1/groups/$id/results?array=true");
	is(scalar @{ $array->{results} }, 3, 'or as one object');
	for my $query ('cursor=-1', 'cursor=x', 'limit=1e9', 'follow=maybe', 'order=random', 'wait=never') {
		is(http($socket, 'GET', "/v1/groups/$id/results?$query")->{status}, 400, "$query is refused");
	}
};

subtest 'cancel reaches the whole subtree' => sub {
	my $id = submit({ gather => [ nap(60), { chain => [ nap(60), noop(1) ] }, { wait => [ nap(60) ] } ] });
	ok(poll_until(sub { (http_json($socket, 'GET', '/v1/stats'))[1]{jobs}{running} == 3 }), 'three run, one is blocked');
	my ($status) = http_json($socket, 'POST', "/v1/groups/$id/cancel");
	is($status, 200, 'taken');
	is(ends($id)->{state}, 'cancelled', 'it ends cancelled');
	my (undef, $stats) = http_json($socket, 'GET', '/v1/stats');
	is($stats->{jobs}{running}, 0, 'and nothing of it runs any more');
	my ($end, @lines) = page($id);
	is_deeply([ map { $_->{state} } @lines ], [ ('cancelled') x 3 ], 'groups and jobs');
};

subtest 'bad input is refused, with its place' => sub {
	my $deep = noop(1);
	$deep = { gather => [$deep] } for 1 .. 20;
	my @cases = (
		[ {}, 'bad_group', '' ],
		[ { gather => [], chain => [] }, 'bad_group', 'chain' ],
		[ { gather => 1 }, 'bad_field', 'gather' ],
		[ { gather => [], colour => 'red' }, 'unknown_field', 'colour' ],
		[ { gather => [ { type => 'nope' } ] }, 'unknown_type', 'gather[0].type' ],
		[ { gather => [ noop(1), {} ] }, 'missing_field', 'gather[1].type' ],
		[ { gather => [ noop(1), 7 ] }, 'bad_job', 'gather[1]' ],
		[ { gather => [ { %{ noop(1) }, colour => 'red' } ] }, 'unknown_field', 'gather[0].colour' ],
		[ { gather => [ { %{ noop(1) }, durability => 'fsync' } ] }, 'bad_field', 'gather[0].durability' ],
		[ { gather => [ { %{ noop(1) }, idempotency_key => 'k' } ] }, 'bad_field', 'gather[0].idempotency_key' ],
		[ { chain => [ noop(1), noop(2), { gather => [ nap('x') ] } ] }, 'bad_argument', 'chain[2].gather[0].args.seconds' ],
		[ { chain => [ noop(1), noop({ '$ref' => '1#' }) ] }, 'bad_reference', 'chain[1].args.echo' ],
		[ { chain => [ noop('{{1#/x}}'), noop(1) ] }, 'bad_reference', 'chain[0].args.echo' ],
		[ { chain => [ noop(1), noop({ a => [ { '$ref' => 'token' } ] }) ] }, 'bad_reference', 'chain[1].args.echo.a[0]' ],
		[ { chain => [ noop(1), { gather => [], durability => 'write' } ] }, 'bad_field', 'chain[1].durability' ],
		[ { wait => [] }, 'bad_field', 'wait' ],
		[ { wait => [ noop(1) ], until => 2 }, 'bad_field', 'until' ],
		[ { map => noop(1), over => [1] }, 'bad_field', 'over[0]' ],
		[ { map => nap('{}'), over => [ 1, 'x' ] }, 'bad_argument', 'over[1].args.seconds' ],
		[ { map => { type => 'nope' }, over => [] }, 'unknown_type', 'map.type' ],
		[ { gather => [ map { noop(1) } 1 .. 10_001 ] }, 'group_too_large', 'gather' ],
		[ { gather => [ map { { gather => [ map { noop(1) } 1 .. 2_500 ] } } 1 .. 4 ] }, 'group_too_large', '' ],
		[ $deep, 'bad_json', '' ],
	);
	my (undef, $before) = http_json($socket, 'GET', '/v1/stats');
	for my $case (@cases) {
		my ($group, $code, $field) = @$case;
		my ($status, $problem) = http_json($socket, 'POST', '/v1/groups', { %memory, %$group });
		is($problem->{code} // $status, $code, "$code: " . substr($problem->{detail} // '', 0, 90));
		is($problem->{field} // '', $field, "at '$field'");
	}
	my (undef, $after) = http_json($socket, 'GET', '/v1/stats');
	is_deeply($after->{jobs}, $before->{jobs}, 'and nothing of them is left');
	my ($status, $problem) = http_json($socket, 'GET', '/v1/groups/nonsense');
	is($status, 400, 'no id');
	($status, $problem) = http_json($socket, 'GET', '/v1/groups/01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70');
	is($problem->{code}, 'no_such_group', 'no group') if $status == 404;
	cmp_ok($status, '>=', 404, 'is not found');
};

subtest 'ten thousand members' => sub {
	my $group = { map => noop('{}'), over => [ 1 .. 10_000 ], window => 1000 };
	my $id    = submit($group);
	my $ended = ends($id);
	is($ended->{succeeded}, 10_000, 'all of them');
	my ($end, @lines) = page($id, '?cursor=9990');
	is(scalar @lines, 10, 'the last ten');
	is($lines[9]{result}{echo}, 10_000, 'in order');
	my ($status, $answer) = http_json($socket, 'POST', '/v1/groups', { %memory, gather => [ map { noop($_) } 1 .. 10_000 ] });
	is($status, 201, 'a gather of as many') or diag explain $answer;
	is(ends($answer->{id})->{succeeded}, 10_000, 'ends, too');
};

subtest 'the list' => sub {
	my $id = submit({ gather => [ noop(1) ] });
	ends($id);
	my (undef, $list) = http_json($socket, 'GET', '/v1/groups?limit=2');
	is($list->{groups}[0]{id}, $id, 'the newest first');
	is(scalar @{ $list->{groups} }, 2, 'so many');
	my (undef, $rest) = http_json($socket, 'GET', "/v1/groups?limit=1000&cursor=$list->{cursor}");
	ok(!(grep { $_->{id} eq $id } @{ $rest->{groups} }), 'and on from there');
	(undef, $list) = http_json($socket, 'GET', '/v1/groups?state=expired');
	is_deeply([ grep { $_->{state} ne 'expired' } @{ $list->{groups} } ], [], 'by state');
	ok(scalar @{ $list->{groups} }, '... there are some');
};

subtest 'by lines' => sub {
	my $lines = Gather::Lines->new($socket);
	my $done  = $lines->ask({ tag => 1, group => { gather => [ noop('a'), noop('b') ] }, wait => JSON::PP::true });
	is($done->{tag}, 1, 'the tag comes back');
	is_deeply([ map { $_->{result}{echo} } @{ $done->{results} } ], [qw(a b)], 'with the results');
	my $ack = $lines->ask({ tag => 2, group => { %memory, chain => [ nap(60), noop(1) ] } });
	ok($ack->{id}, 'without wait it is acknowledged');
	is($lines->ask({ op => 'group', id => $ack->{id} })->{state}, 'running', 'shown');
	is($lines->ask({ op => 'group_cancel', id => $ack->{id} })->{id}, $ack->{id}, 'cancelled');
	my $results = $lines->ask({ op => 'group_results', id => $ack->{id}, follow => 'true', wait => '10s' });
	is_deeply([ map { $_->{state} } @{ $results->{results} } ], [qw(cancelled cancelled)], 'its results');
	ok($lines->ask({ op => 'groups', limit => 1 })->{groups}, 'listed');
	is($lines->ask({ group => { gather => [ nap(-1) ] } })->{error}{field}, 'gather[0].args.seconds', 'refused with its place');
	is($lines->ask({ group => { gather => [] }, queue => 'x' })->{error}{code}, 'unknown_field', 'no more fields beside it');
	is($lines->ask({ group => 3 })->{error}{code}, 'bad_json', 'no group');
};

subtest 'by the command' => sub {
	my $file = $daemon->dir . '/group.json';
	my $put  = sub {
		open my $out, '>', $file or die $!;
		print $out JSON::PP->new->encode($_[0]);
		close $out;
	};
	$put->({ gather => [ noop('a'), noop([ 1, 2 ]) ] });
	my $did = $cli->run('group', $file);
	is($did->{status}, 0, 'it succeeds') or diag $did->{err};
	is($did->{out}, qq({"echo":"a"}\n{"echo":[1,2]}\n), 'results in order');
	$did = $cli->run('group', '-o', 'jsonl', $file);
	is((json_lines($did->{out}))[1]{index}, 1, 'as lines');
	$did = $cli->run('group', '-o', 'json', $file);
	is(scalar @{ from_json($did->{out}) }, 2, 'as one document');
	$put->({ gather => [ noop('a'), job(http => url => 'http://127.0.0.1:1/') ], return_exceptions => JSON::PP::true });
	$did = $cli->run('group', $file);
	is($did->{status}, 1, 'a job that failed is an exit status');
	like($did->{err}, qr/member 1: /, 'and a line on standard error');
	is($did->{out}, qq({"echo":"a"}\n), 'the others are printed');
	$put->({ wait => [ nap(60), noop('b') ], until => 'first_completed', cancel_rest => JSON::PP::true });
	$did = $cli->run('group', $file);
	is($did->{status}, 0, 'a wait that cancels the rest has succeeded');
	is($did->{out}, qq({"echo":"b"}\n), '... with what it waited for');
	$put->({ gather => [ nap(60) ] });
	$did = $cli->run('group', '--wait', '300ms', $file);
	is($did->{status}, 3, '--wait: out of time');
	my $process = $cli->start('group', $file);
	ok(poll_until(sub { (http_json($socket, 'GET', '/v1/stats'))[1]{jobs}{running} == 1 }), 'it runs');
	$process->signal('INT');
	$did = $process->wait;
	is($did->{status}, 130, 'interrupted');
	ok(poll_until(sub { (http_json($socket, 'GET', '/v1/stats'))[1]{jobs}{running} == 0 }), 'and cancelled');
	$did = $cli->run({ stdin => '{"chain":[]}' }, 'group', '-');
	is($did->{status}, 0, 'from standard input');
	$did = $cli->run({ stdin => '{"chain":[{"type":"nope"}]}' }, 'group', '-');
	is($did->{status}, 2, 'a wrong one is a usage error');
	like($did->{err}, qr/chain\[0\]/, 'that names the place');
	is($cli->run('group', '/nonexistent')->{status}, 2, 'no such file');
	is($cli->run('group')->{status}, 2, 'none at all');
	my $big = 'y' x 400_000;
	my $web = web_of($big);
	$put->({ gather => [ { gather => [ (job(http => url => $web->url('/'))) x 3 ] }, job(http => url => $web->url('/')) ] });
	$did = $cli->run('group', $file);
	is(length $did->{out}, 4 * (length($big) + 1), 'large results, inside of groups, too');
	$did = Gather::Cli->new->run({ stdin => '{"gather":[{"type":"noop","args":{"echo":1}}]}' }, '--local', 'group', '-');
	is($did->{out}, qq({"echo":1}\n), '--local');
};

done_testing;
