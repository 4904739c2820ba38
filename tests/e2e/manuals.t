# The manual pages: well-formed, and about all that the programs say of themselves, and about nothing else.
use strict;
use warnings;
use File::Temp ();
use FindBin;
use lib "$FindBin::Bin/../lib";
use Gather::Daemon;
use Test::More;

my $build = Gather::Daemon::build();
my %page = map { s{.*/}{}r => $_ } glob "$build/man/*.[1-8]";
my @families = grep { /\.3$/ && $_ ne 'gather_worker.3' } sort keys %page; # of libgather's functions

sub output {
	my (@command) = @_;
	open my $in, '-|', @command or die "$command[0]: $!";
	local $/;
	my $text = <$in> // '';
	close $in;
	return $text;
}

# A page as it is read, in wide lines, without bold and underlined letters.
sub shown {
	my ($name) = @_;
	my $text = output('mandoc', '-Tascii', '-Owidth=300', $page{$name});
	$text =~ s/.\x08//g;
	return $text;
}

# By title: what stands below the headings that are indented by so much.
sub parts {
	my ($text, $indent) = @_;
	my @parts = split /^ {$indent}(\S.*)\n/m, $text, -1;
	shift @parts;
	return @parts;
}

# "-j, --jobs N" of each flag in a help text.
sub help_flags {
	my ($text) = @_;
	return $text =~ /^  (?:    )?((?:-\w, )?--[a-z-]+(?: (?:'[^']+'|\S+))?) +\S/mg;
}

# The same of the tags in a page.
sub page_flags {
	my ($text) = @_;
	return $text =~ /^ {5}((?:-\w, )?--[a-z-]+(?: (?:'[^']+'|[\w=]+))?)(?:$|  )/mg;
}

for my $name (sort keys %page) {
	subtest "$name is well-formed" => sub {
		ok(-s $page{$name}, 'it is built');
		is(output('mandoc', '-Tlint', '-Wwarning', $page{$name}), '', 'lint is silent');
		unlike(output('cat', $page{$name}), qr/\@[A-Z_]+\@/, 'everything is filled in');
	};
}

subtest 'gather.1 has each verb and each flag' => sub {
	my $help = output("$build/bin/gather", '--help');
	my ($list) = $help =~ /^Verbs:\n(.*?)\n\n/ms or return fail 'verbs are listed';
	my @verbs = $list =~ /^  (\w+)/mg;
	my $text = shown('gather.1');
	my %section = parts($text, 0);
	my %common = parts($section{DESCRIPTION}, 3);
	my %of_verb;

	cmp_ok(scalar @verbs, '>=', 16, 'there are verbs');
	for (my @parts = parts($section{VERBS}, 3); @parts; splice @parts, 0, 2) {
		$of_verb{$1} = $parts[1] if $parts[0] =~ /^gather (\w+)/;
	}
	is_deeply([sort keys %of_verb], [sort @verbs], 'the verbs are the same');
	for my $verb (@verbs) {
		my $part = $of_verb{$verb} // next;
		my @flags = page_flags($part . $common{'With every verb'} =~ s/Before the verb.*//sr);
		for my $title ('Of each job', 'Many jobs', 'Filters') {
			push @flags, page_flags($common{$title}) if $part =~ /^ {5}The flags of.*\Q$title\E/m;
		}
		is_deeply([sort @flags], [sort(help_flags(output("$build/bin/gather", $verb, '--help')))], "$verb: its flags");
	}
	my ($said) = $help =~ /^Exit status: (.*?)\.\n/ms;
	my @status = $said =~ /(?:^|, |,\n)(\d+) /g;
	is_deeply([$section{'EXIT STATUS'} =~ /^ {5}(\d+)/mg], \@status, 'the exit statuses are the same');
	for my $type (split /\n/, output("$build/bin/gather", '--local', 'types', '-o', 'id')) {
		like($of_verb{types}, qr/\b\Q$type\E\b/, "the job type $type is named");
	}
};

subtest 'gatherd.8 has each option' => sub {
	my $help = output("$build/bin/gatherd", '--help');
	my %section = parts(shown('gatherd.8'), 0);

	is_deeply([sort(page_flags($section{DESCRIPTION}))], [sort(help_flags($help))], 'the options are the same');
	my ($said) = $help =~ /^Exit status: (.*)/m;
	is_deeply([$section{'EXIT STATUS'} =~ /^ {5}(\d+)/mg], [$said =~ /(?:^|, )(\d+) /g], 'the exit statuses are the same');
};

subtest 'gatherd.conf.5 has each option' => sub {
	my %section = parts(shown('gatherd.conf.5'), 0);
	my @options = output("$build/bin/gatherd", '--help-options') =~ /^([\w.]+) = /mg;

	cmp_ok(scalar @options, '>', 20, 'there are options');
	is_deeply([$section{OPTIONS} =~ /^ {5}([\w.]+) = /mg], \@options, 'the options are the same, in the same order');
};

subtest 'gather_worker.3 has all of the header' => sub {
	my $text = shown('gather_worker.3');
	my $header = output('cat', 'include/gather/worker.h');
	my ($enums) = join ' ', $header =~ /^enum \w+ \{(.*?)\};/msg;
	my @names = ($header =~ /\b(ga_\w+)\(/g, grep { !/_COUNT$/ } $enums =~ /\bGA_\w+/g);

	cmp_ok(scalar @names, '>', 30, 'it declares something');
	like($text, qr/\b$_\b/, $_) for @names;

	my ($example) = $text =~ /^ {6,}(#include <gather.*?GA_PLUGIN\(&greet\);)/ms;
	my $dir = File::Temp->newdir;
	open my $out, '>', "$dir/greet.c" or die "$dir: $!";
	print $out "$example\n";
	close $out;
	is(system('cc', '-Wall', '-Werror', '-Iinclude', '-shared', '-fPIC', '-o', "$dir/greet.so", "$dir/greet.c"), 0,
		'the example compiles');
	my $daemon = Gather::Daemon->new(workers => 1, plugins => ["$dir/greet.so"])->start;
	is(output("$build/bin/gather", '--socket', $daemon->socket, 'run', 'greet', 'name=Alice'), qq({"hello":"Alice"}\n),
		'and runs');
	$daemon->stop;
};

# The functions that a page is about.
sub names {
	my ($name) = @_;
	my ($list) = output('cat', $page{$name}) =~ /^\.Sh NAME\n(.*?)^\.Nd /ms or return;
	return $list =~ /^\.Nm (\w+)/mg;
}

subtest 'each function of libgather has its place in the manual' => sub {
	my %place;

	for my $name (@families) {
		push @{$place{$_}}, $name for names($name);
	}
	for my $header (grep { !m{/(?:worker|client)\.h$} } glob 'include/gather/*.h') {
		my $text = output('cat', $header) =~ s{/\*.*?\*/}{}gsr;
		my @functions = ($text =~ /^GA_API [^;]*?\b(ga_\w+)\(/mg, $text =~ /^#define (ga_\w+)\(/mg);

		is(scalar @{$place{$_} // []}, 1, "$header: $_") for @functions;
		delete @place{@functions};
	}
	is_deeply([sort keys %place], [], 'and it tells of no others');
};

for my $name (@families) {
	subtest "$name: synopsis and examples" => sub {
		my $source = output('cat', $page{$name});
		my ($synopsis) = $source =~ /^\.Sh SYNOPSIS\n(.*?)^\.Sh /ms;
		my ($examples) = $source =~ /^\.Sh EXAMPLES\n(.*?)^\.Sh /ms or return fail 'there are examples';
		my @programs = grep { /^#include/m } $examples =~ /^\.Bd [^\n]*\n(.*?)^\.Ed/msg;
		my $dir = File::Temp->newdir;

		like($synopsis, qr/^\.F[no] "?$_\b/m, "$_ is declared") for names($name);
		cmp_ok(scalar @programs, '>', 0, 'there is a program part');
		for my $program (@programs) {
			open my $out, '>', "$dir/part.c" or die "$dir: $!";
			print $out $program =~ s/\\&//gr =~ s/\\e/\\/gr;
			close $out;
			is(system('cc', '-std=c99', '-D_GNU_SOURCE', '-Wall', '-Wextra', '-Werror', '-Iinclude', '-c', '-o',
				'/dev/null', "$dir/part.c"), 0, 'it compiles');
		}
	};
}

subtest 'a function that has no page of its own leads to its family' => sub {
	for my $name (@families) {
		for my $other (grep { "$_.3" ne $name } names($name)) {
			is(output('cat', "$build/man/aliases/$other.3"), ".so man3/$name\n", $other);
		}
	}
};

subtest 'libgather.7 teaches a program that runs, and its references lead somewhere' => sub {
	my $source = output('cat', $page{'libgather.7'});
	my ($program) = $source =~ /^\.Bd [^\n]*\n(#include.*?)^\.Ed/ms;
	my %known = map { $_ => 1 } map { names($_) } @families;
	my $dir = File::Temp->newdir;

	open my $out, '>', "$dir/greet.c" or die "$dir: $!";
	print $out $program =~ s/\\e/\\/gr;
	close $out;
	is(system('cc', '-Wall', '-Werror', '-Iinclude', '-o', "$dir/greet", "$dir/greet.c", "-L$build/lib", '-lgather',
		"-Wl,-rpath,$build/lib"), 0, 'it compiles');
	is(output("$dir/greet"), "Hello, Alice!\nHello, Bob!\n", 'and runs');
	for my $name (@families) {
		ok($known{$_}, "$name: $_ is in the manual") for output('cat', $page{$name}) =~ /^\.Xr (ga_\w+) 3/mg;
	}
};

done_testing;
