# Gather::WebServer: what http jobs talk to, on a port of its own, gone with the object.
#
#	my $web = Gather::WebServer->new;                      # build/examples/httpd
#	$web->url('/delay/50/100')                             # http://127.0.0.1:PORT/delay/50/100
#	my $web = Gather::WebServer->scripted(sub {            # a Perl server: called for each connection, in a process
#		my ($self, $socket, $number) = @_; ...         #  of its own; $self->note(TEXT) tells the test something
#	});
#	my ($text, ...) = $web->notes;                         # all that was noted so far
#	my $web = Gather::WebServer->tls;                      # openssl s_server with a self-signed certificate
#	Gather::WebServer::dead_port()                         # a port of 127.0.0.1 that refuses
package Gather::WebServer;
use strict;
use warnings;
use Cwd qw(abs_path);
use File::Temp ();
use Gather::Daemon qw(poll_until);
use IO::Select;
use IO::Socket::INET;
use POSIX qw(:sys_wait_h _exit);

sub spawn {
	my ($self, $log, @command) = @_;
	my $pid = fork // die "fork: $!";

	if (!$pid) {
		open STDIN,  '<',  '/dev/null';
		open STDOUT, '>>', $log;
		open STDERR, '>&', \*STDOUT;
		# However this test program ends, it ends.
		exec 'setpriv', '--pdeathsig', 'KILL', @command or _exit(127);
	}
	$self->{pid} = $pid;
	return $self;
}

sub empty {
	my ($class, %more) = @_;
	return bless { dir => File::Temp->newdir('gather-web-XXXXXXXX', TMPDIR => 1), scheme => 'http', %more }, $class;
}

sub new {
	my ($class) = @_;
	my $self = $class->empty;
	my $port_file = "$self->{dir}/port";

	$self->spawn("$self->{dir}/log", abs_path(Gather::Daemon::build()) . '/examples/httpd',
		'--port', 0, '--port-file', $port_file);
	poll_until(
		sub {
			open my $in, '<', $port_file or return;
			($self->{port}) = (<$in> // '') =~ /^(\d+)\n/;
			return $self->{port};
		}
	) or die 'httpd does not start';
	return $self;
}

sub listener {
	return IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1024, ReuseAddr => 1) // die "listen: $@";
}

sub scripted {
	my ($class, $serve) = @_;
	my $self = $class->empty;
	my $listener = listener();
	pipe my $eof_end, my $guard or die "pipe: $!";
	my $pid = fork // die "fork: $!";

	if (!$pid) {
		# In a group of its own: what it forked ends with it.
		setpgrp;
		my %kept = map { fileno $_ => 1 } $listener, $eof_end;
		POSIX::close($_) for grep { !$kept{$_} } 3 .. 255;
		$self->serve_all($listener, $eof_end, $serve);
	}
	setpgrp $pid, $pid;
	@$self{qw(group guard)} = (1, $guard);
	@$self{qw(pid port)} = ($pid, $listener->sockport);
	return $self;
}

sub serve_all {
	my ($self, $listener, $eof_end, $serve) = @_;
	my $ready = IO::Select->new($listener, $eof_end);
	my $number = 0;

	$SIG{CHLD} = 'IGNORE';
	$SIG{PIPE} = 'IGNORE';
	$SIG{$_} = 'DEFAULT' for qw(INT TERM);
	while (1) {
		# The end of the pipe is the end of the test program.
		kill KILL => 0 if grep { $_ == $eof_end } $ready->can_read;
		my $socket = $listener->accept or next;
		$number++;
		if (fork) {
			close $socket;
			next;
		}
		binmode $socket;
		$socket->autoflush(1);
		eval { $serve->($self, $socket, $number); 1 } or $self->note("died: $@");
		close $socket;
		_exit(0);
	}
}

# A line for the test to read.
sub note {
	my ($self, $text) = @_;
	open my $out, '>>', "$self->{dir}/notes" or return;
	syswrite $out, "$text\n";
	return;
}

sub notes {
	my ($self) = @_;
	open my $in, '<', "$self->{dir}/notes" or return;
	chomp(my @lines = <$in>);
	return @lines;
}

# The head of a request and its body, from the socket: (head, body).
sub read_request {
	my ($socket) = @_;
	my $head = '';

	while (defined(my $line = <$socket>)) {
		last if $line eq "\r\n";
		$head .= $line;
	}
	my ($length) = $head =~ /^Content-Length: (\d+)/mi;
	read $socket, my $body, $length if $length;
	return ($head, $body // '');
}

# An answer with a body, the connection closed behind it.
sub answer {
	my ($socket, $status, $body, @headers) = @_;
	print $socket join "\r\n", "HTTP/1.1 $status X", @headers, 'Content-Length: ' . length $body, 'Connection: close', '',
		$body;
}

sub tls {
	my ($class) = @_;
	my $self = $class->empty(scheme => 'https');
	my ($key, $certificate) = map { "$self->{dir}/$_" } qw(key.pem certificate.pem);
	my $log = "$self->{dir}/log";

	system("openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost"
		. " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout $key -out $certificate >$log 2>&1") == 0
		or die 'openssl makes no certificate: ' . Gather::Cli::Process::slurp($log);
	# It says which port it got.
	$self->spawn($log, '/usr/bin/openssl', 's_server', '-accept', '127.0.0.1:0', '-www', '-key', $key,
		'-cert', $certificate);
	poll_until(
		sub {
			open my $in, '<', $log or return;
			($self->{port}) = map { /^ACCEPT 127\.0\.0\.1:(\d+)/ ? $1 : () } <$in>;
			return $self->{port};
		}
	) or die 'openssl s_server does not start';
	$self->{certificate} = $certificate;
	return $self;
}

sub port        { return $_[0]{port} }
sub certificate { return $_[0]{certificate} }

sub url {
	my ($self, $path, $host) = @_;
	return "$self->{scheme}://" . ($host // '127.0.0.1') . ":$self->{port}" . ($path // '/');
}

sub dead_port {
	my $socket = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1) // die "listen: $@";
	return $socket->sockport;
}

sub DESTROY {
	my ($self) = @_;
	local ($?, $!, $@);

	return unless $self->{pid};
	kill KILL => $self->{group} ? -$self->{pid} : $self->{pid};
	waitpid $self->{pid}, 0;
	return;
}

1;
