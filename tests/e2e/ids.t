# Verbs on several jobs at once: what is shown of them, and where their ids come from.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Fcntl qw(F_SETFL O_NONBLOCK O_RDONLY);
use Gather::Cli qw(from_json);
use Gather::Daemon qw(poll_until);
use IO::Handle;
use POSIX ();
use Test::More;

my $daemon = Gather::Daemon->new(workers => 1)->start;
my $cli = Gather::Cli->new(socket => $daemon->socket);
my $never = '01902d5c-7e0a-7c1b-8000-2b3c4d5e6f70';
my @ids = map { $cli->run('submit', 'noop')->{out} =~ /(\S+)/ } 1 .. 3;

is($cli->run('wait', @ids)->{status}, 0, 'three jobs are done');

for my $verb (qw(show wait result why)) {
	my $did = $cli->run($verb, '-o', 'json', @ids);
	my $all = eval { from_json($did->{out}) };

	is(ref $all, 'ARRAY', "$verb -o json of several ids is one document") or diag($did->{out}, $did->{err});
	is_deeply([ map { $_->{id} } @{ $all // [] } ], \@ids, '... with each in its place');
	is(ref from_json($cli->run($verb, '-o', 'json', $ids[0])->{out}), 'HASH', '... and of one an object');
}

my $did = $cli->run('show', '-o', 'json', $ids[0], $never, $ids[1]);
isnt($did->{status}, 0, 'one id among them is unknown');
like($did->{err}, qr/$never/, '... which is said');
is_deeply([ map { $_->{id} } @{ from_json($did->{out}) } ], [ @ids[ 0, 1 ] ], '... and the others stand in the array');

$did = $cli->run({ stdin => "$ids[2]\n" }, 'show', '-o', 'json', '-');
is_deeply([ map { $_->{id} } @{ from_json($did->{out}) } ], [ $ids[2] ], 'ids from standard input make an array, too');
$did = $cli->run({ stdin => '' }, 'show', '-o', 'json', '-');
is_deeply(from_json($did->{out}), [], '... even if there are none');

$did = $cli->run('show', '-o', 'jsonl', @ids);
is(scalar(split /\n/, $did->{out}), 3, '-o jsonl is a line each');

is(from_json($cli->run(qw(types noop -o json))->{out})->{name}, 'noop', 'one type is JSON, too');

# Standard input that somebody made non-blocking is waited for.
pipe my $read, my $write or die "pipe: $!";
my $process = $cli->start(
	{
		before => sub {
			close $write;
			open STDIN, '<&', $read or die;
			fcntl STDIN, F_SETFL, O_RDONLY | O_NONBLOCK;
		}
	},
	'show', '-o', 'id', '-'
);
poll_until(
	sub {
		open my $stat, '<', '/proc/' . $process->pid . '/stat' or return 1;
		return scalar <$stat> =~ /\(gather\) [SZ]/;
	}
);
$write->autoflush(1);
print $write "$ids[0]\n";
close $write;
$did = $process->wait;
is($did->{out}, "$ids[0]\n", 'a non-blocking standard input is waited for') or diag($did->{err});

# A standard stream that the parent closed is not taken by a descriptor of the command's own.
$did = $cli->run({ before => sub { POSIX::close($_) for 0, 2 } }, '--local', 'run', 'hash', 'text=abc', '-o', 'id');
is($did->{status}, 0, '--local works with closed standard streams');
like($did->{out}, qr/^[0-9a-f-]{36}\n\z/, '... and its output is its own');

done_testing;
