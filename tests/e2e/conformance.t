# What docs/conformance.md lists is what the conformance tests state.
use strict;
use warnings;
use FindBin;
use Test::More;

my $tests = "$FindBin::Bin/../conformance";

is(system($^X, "$tests/table", '--check'), 0, 'docs/conformance.md is made from the tests as they are');

done_testing;
