# The NDJSON door: nc -U is a client.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon qw(poll_until);
use Gather::Lines;
use Test::More;

my $daemon = Gather::Daemon->new(workers => 1)->start;

subtest 'submit and wait' => sub {
	my $lines = Gather::Lines->new($daemon->socket);
	my $ack = $lines->ask({ type => 'noop', tag => 7 });
	is($ack->{tag}, 7, 'the tag is echoed');
	is($ack->{durability}, 'fsync', 'the acknowledgement says how the job is kept');
	my $job = $lines->ask({ type => 'sleep', args => { seconds => 0.05 }, wait => JSON::PP::true, tag => 'a' });
	is($job->{state}, 'succeeded', 'wait: answered when it has ended');
	$job = $lines->ask({ type => 'sleep', args => { seconds => 20 }, wait => '100ms' });
	is($job->{state}, 'running', 'wait with a limit: answered as it is then');
	is($lines->ask({ op => 'cancel', id => $job->{id} })->{id}, $job->{id}, 'cancel');
	is($lines->ask({ op => 'show', id => $job->{id}, wait => '10s' })->{state}, 'cancelled', 'show');
	ok($lines->ask({ op => 'stats' })->{totals}, 'stats');
};

subtest 'a thousand at once, each answered once' => sub {
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { type => 'sleep', args => { seconds => 0.2 }, wait => JSON::PP::true, tag => $_ } } 1 .. 1000);
	my $start = time;
	my %seen;
	for (1 .. 1000) {
		my $answer = $lines->next // last;
		$seen{ $answer->{tag} }++;
	}
	is(scalar keys %seen, 1000, 'all are answered');
	is((grep { $_ != 1 } values %seen), 0, 'none twice');
	cmp_ok(time - $start, '<', 10, 'and at the same time, not one after the other');
};

subtest 'bad lines' => sub {
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send_raw("{\"type\":\n");
	like($lines->next->{error}{code}, qr/bad_json/, 'half a line of JSON');
	is($lines->ask({ type => 'noop', tag => [] })->{error}{field}, 'tag', 'a tag that is neither text nor number');
	my $unknown = $lines->ask({ op => 'dance' })->{error};
	is($unknown->{field}, 'op', 'an unknown op');
	like($unknown->{detail}, qr/ show .* bulk .* stats$/, '... is told all that there are');
	is_deeply($lines->ask({ op => 'bulk', action => 'cancel', filter => { tag => 'nobody' } }),
		{ action => 'cancel', matched => 0, done => 0 }, 'a bulk action');
	is($lines->ask({ op => 'show' })->{error}{field}, 'id', 'an op without its id');
	is($lines->ask({ type => 'noop', wait => 'soon' })->{error}{field}, 'wait', 'a wait that is no duration');
	$lines->send_raw("GET / HTTP/1.1\r\n\r\n");
	ok($lines->next->{error}, 'HTTP in the middle of it');
	ok($lines->ask({ type => 'noop' })->{id}, 'the connection serves on');
};

subtest 'a line without an end' => sub {
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send_raw('{"type":"' . 'x' x (3 << 20));
	my $answer = $lines->next;
	is($answer->{error}{code}, 'line_too_long', 'is refused');
	is($lines->next, undef, 'and the connection closed');
};

subtest 'a client that leaves takes its jobs with it' => sub {
	my $lines = Gather::Lines->new($daemon->socket);
	$lines->send(map { { type => 'sleep', args => { seconds => 60 }, wait => JSON::PP::true, tag => $_ } } 1 .. 5);
	my $other = Gather::Lines->new($daemon->socket);
	ok(poll_until(sub { $other->ask({ op => 'stats' })->{jobs}{running} == 5 }), 'they run');
	$lines->close;
	ok(poll_until(sub { $other->ask({ op => 'stats' })->{jobs}{running} == 0 }), 'they are cancelled');
	is($other->ask({ op => 'stats' })->{totals}{cancelled} >= 5, 1, 'and counted');
};

$daemon->stop;
done_testing;
