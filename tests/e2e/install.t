# What `make install` puts where, and that it works from there.
use strict;
use warnings;
use FindBin;
use lib "$FindBin::Bin/../lib";
use Cwd qw(abs_path);
use File::Temp ();
use Gather::Cli qw(from_json);
use Gather::Daemon qw(poll_until);
use Test::More;

my $build = abs_path(Gather::Daemon::build());
my $root = File::Temp->newdir('gather-install-XXXXXXXX', TMPDIR => 1);
my $cli = Gather::Cli->new;

# A shell's command: status, out, err.
sub shell {
	my ($command, %env) = @_;
	return $cli->run({ program => 'sh', env => \%env, dir => "$root" }, '-c', $command);
}

# A variable of the build tree's cache.
sub cached {
	my ($name) = @_;
	open my $in, '<', "$build/CMakeCache.txt" or die "$build/CMakeCache.txt: $!";
	my ($value) = map { /^\Q$name\E:\w+=(.*)$/ ? $1 : () } <$in>;
	return $value;
}

sub slurp { return Gather::Cli::Process::slurp($_[0]) }

sub write_file {
	my ($name, $text) = @_;
	open my $out, '>', "$root/$name" or die "$root/$name: $!";
	print $out $text;
	close $out or die "$root/$name: $!";
	return;
}

my $installed = shell("cmake --install $build", DESTDIR => "$root");
is($installed->{status}, 0, 'it is installed') or BAIL_OUT($installed->{err});
my $prefix = cached('CMAKE_INSTALL_PREFIX');
my $at = "$root$prefix";
# Debian's multiarch directory, if that is where libraries go.
my $lib = "$at/" . (cached('CMAKE_INSTALL_LIBDIR') // 'lib');
my %pkg_config = (
	PKG_CONFIG_SYSROOT_DIR => "$root",
	PKG_CONFIG_PATH        => "$lib/pkgconfig",
	LD_LIBRARY_PATH        => $lib
);

subtest 'files' => sub {
	for my $path (qw(bin/gather bin/gatherd)) { ok(-x "$at/$path", $path) }
	for my $name (qw(async attributes client http stream worker)) { ok(-f "$at/include/gather/$name.h", "gather/$name.h") }
	for my $name (qw(hash http noop sleep)) { ok(-f "$lib/gather/workers/$name.so", "the job type $name") }
	for my $name (qw(libgather.so libgather.a libgatherclient.so libgatherclient.a)) { ok(-e "$lib/$name", $name) }
	for my $path (map { "systemd/system/gatherd.$_" } qw(service socket)) { ok(-f "$at/lib/$path", $path) }
	for my $path (map { "$_.d/gatherd.conf" } qw(sysusers tmpfiles)) { ok(-f "$at/lib/$path", $path) }
	for my $page (qw(man1/gather.1 man5/gatherd.conf.5 man8/gatherd.8)) { ok(-f "$at/share/man/$page", $page) }
	my $strays = shell("find . -path '.$prefix' -prune -o ! -type d -print");
	is($strays->{out}, '', 'nothing outside the prefix');
	is(shell("grep -rlF '$root' .")->{out}, '', 'and no trace of where it was put for now');
	is(shell("grep -rlIF '$build' .")->{out}, '', 'nor, in texts, of where it was built');
};

subtest 'the service' => sub {
	my $unit = slurp("$at/lib/systemd/system/gatherd.service");
	my ($program) = $unit =~ /^ExecStart=(\S+)/m;
	ok($program && -x "$root$program", 'the unit starts the program that is there') or diag($program // 'none');
	like($unit, qr/^Type=notify$/m, '... that says when it is ready');
	my ($listen) = slurp("$at/lib/systemd/system/gatherd.socket") =~ /^ListenStream=(\S+)/m;
	my $default = shell("$at/bin/gatherd --help-options")->{out};
	like($default, qr/^socket = PATH\n(?:    .*\n)*    Default: \Q$listen\E$/m, 'the socket unit and the default agree');
	my ($user) = $unit =~ /^User=(\S+)/m;
	like(slurp("$at/lib/sysusers.d/gatherd.conf"), qr/^u!? +\Q$user\E /m, 'its user is made');
	# An example that is all comments, or valid.
	my $checked = shell("$at/bin/gatherd -t -c $at/share/doc/gatherd/gatherd.conf");
	is($checked->{status}, 0, 'the example configuration is valid') or diag($checked->{err});
	SKIP: {
		my $verdict = shell("systemd-analyze security --offline=true $at/lib/systemd/system/gatherd.service");
		my ($exposure) = $verdict->{out} =~ /Overall exposure level for \S+ (\d+\.\d+)/;
		skip 'no systemd-analyze that reads files', 1 unless defined $exposure;
		cmp_ok($exposure, '<=', 2, "hardened: exposure $exposure");
	}
};

subtest 'it runs from there' => sub {
	my $did = $cli->run({ program => "$at/bin/gather", env => { PATH => '/usr/bin:/bin' } }, qw(--local run hash text=abc -o json));
	is($did->{status}, 0, 'gather --local') or diag($did->{err});
	like(from_json($did->{out})->{result}{digest}, qr/^ba7816bf/, '... runs a job');
	my $daemon = Gather::Daemon->new(program => "$at/bin/gatherd", workers => 1)->start;
	$did = $cli->run({ program => "$at/bin/gather", env => { GATHER_SOCKET => $daemon->socket } }, qw(run noop));
	is($did->{status}, 0, 'gatherd');
	is($daemon->stop, 0, '... and it stops');
};

subtest 'libgather' => sub {
	my $readme = slurp('README.md');
	my ($greet) = $readme =~ /^```c\n(.*?)^```/ms;
	my ($compile) = $readme =~ /`(cc greet\.c \$\(pkg-config [^`]*)`/;
	ok($greet && $compile, 'the README has a program, and how to compile it') or return;
	write_file('greet.c', $greet);
	my $did = shell("$compile -Wall -Wextra -Werror -o greet", %pkg_config);
	is($did->{status}, 0, 'it compiles') or diag($did->{err});
	$did = shell('./greet', %pkg_config);
	is(join('', sort split /^/, $did->{out}), "Hello, Alice!\nHello, Bob!\n", 'and greets');
	cmp_ok($did->{seconds}, '>=', 1, 'after a second');
	write_file('greet.cc', join('', map { s{^include/(.*)}{#include <$1>\n}r } glob 'include/gather/*.h')
		. "int main() { return ga_run(nullptr, nullptr) == 0; }\n");
	SKIP: {
		skip 'no C++ compiler', 1 if shell('c++ --version')->{status};
		$did = shell('c++ -fsyntax-only $(pkg-config --cflags gather) greet.cc', %pkg_config);
		is($did->{status}, 0, 'its headers are C++, too') or diag($did->{err});
	}
	is(shell('pkg-config --modversion gather', %pkg_config)->{out}, from_version() . "\n", 'its version is that of the program');
};

sub from_version { return $cli->run('--version')->{out} =~ /^gather (\S+)/ ? $1 : '?' }

subtest 'the client library' => sub {
	my $daemon = Gather::Daemon->new(workers => 1)->start;
	write_file('client.c', <<'C');
#include <gather/client.h>
#include <stdio.h>
int main(void)
{
	struct ga_submission job = { .type = "hash", .args = "{\"text\":\"abc\"}", .tag = 7, .want_result = true };
	struct ga_client_event event;
	ga_client *client;
	if (ga_client_connect(NULL, &client) < 0 || ga_client_submit(client, &job) < 0 ||
	    ga_client_next(client, GA_CLIENT_FOREVER, &event) != 1)
		return 1;
	printf("%d %.*s\n", (int)event.tag, (int)event.meta.size, event.meta.data);
	ga_client_close(client);
	return event.state != GA_SUCCEEDED;
}
C
	my $did = shell('cc -Wall -Wextra -Werror client.c $(pkg-config --cflags --libs gatherclient) -o client', %pkg_config);
	is($did->{status}, 0, 'a program compiles') or diag($did->{err});
	$did = shell('./client', %pkg_config, GATHER_SOCKET => $daemon->socket);
	is($did->{status}, 0, 'and runs a job');
	like($did->{out}, qr/^7 .*ba7816bf/, '... whose result it has');
	like(shell('ldd ./client', %pkg_config)->{out}, qr/libgatherclient\.so/, 'by the shared library');
	unlike(shell("ldd $lib/libgatherclient.so", %pkg_config)->{out}, qr/zmq|curl|event/, '... that needs little');
	my $static = shell("cc client.c \$(pkg-config --cflags gatherclient) $lib/libgatherclient.a -o static", %pkg_config);
	is($static->{status}, 0, 'also statically') or diag($static->{err});
	is(shell('./static', GATHER_SOCKET => $daemon->socket)->{status}, 0, '... by itself');
	is($daemon->stop, 0, 'the daemon stops');
};

subtest 'symbols' => sub {
	for my $name (qw(libgather.so libgatherclient.so)) {
		my @symbols = map { (split)[-1] } split /\n/, shell("nm -D --defined-only $lib/$name")->{out};
		cmp_ok(scalar @symbols, '>', 5, "$name has symbols");
		is_deeply([ grep { !/^(ga_|_init$|_fini$)/ } map { s/@.*//r } @symbols ], [], '... all of them public');
	}
};

subtest 'CMake' => sub {
	mkdir "$root/use";
	write_file('use/CMakeLists.txt', <<'CMAKE');
cmake_minimum_required(VERSION 3.25)
project(use C)
find_package(gather REQUIRED)
find_package(gatherclient REQUIRED)
add_executable(greet ../greet.c)
target_link_libraries(greet PRIVATE gather::gather)
add_executable(client ../client.c)
target_link_libraries(client PRIVATE gatherclient::gatherclient)
CMAKE
	my $did = shell("cmake -S use -B use/build -DCMAKE_PREFIX_PATH=$at && cmake --build use/build");
	is($did->{status}, 0, 'finds both, and builds') or diag($did->{out}, $did->{err});
};

done_testing;
