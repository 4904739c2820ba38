# Gather::Nginx: a real nginx on a port of its own, gone with the object. It counts for itself what arrives.
#
#	my $nginx = Gather::Nginx->new(conn => 4);    # at most so many at once at /counted: it says 429 to the others
#	$nginx->url('/slow')                          # answers "ok" after 100 ms; /counted likewise; / at once
#	my @requests = $nginx->requests;              # { path, status, start, end }, in order of their ends
#	my $most = $nginx->most_at_once(@requests);   # that overlapped
package Gather::Nginx;
use strict;
use warnings;
use Cwd ();
use File::Temp ();
use Gather::Daemon qw(poll_until);
use IO::Socket::INET;
use POSIX qw(_exit);

sub new {
	my ($class, %options) = @_;
	my $self = bless { dir => File::Temp->newdir('gather-nginx-XXXXXXXX', TMPDIR => 1) }, $class;
	my $conn = $options{conn} // 1000;
	my $after = $options{retry_after} // 1;

	# A port that was free is taken, or another is tried.
	for my $try (1 .. 5) {
		my $probe = IO::Socket::INET->new(Listen => 1, LocalAddr => '127.0.0.1') // die "listen: $@";
		$self->{port} = $probe->sockport;
		close $probe;
		$self->write_conf($conn, $after);
		$self->launch;
		return $self if poll_until(sub { $self->connects || $self->has_exited }, 10) && $self->connects;
		$self->end;
	}
	die "nginx does not start: " . $self->slurp('error.log');
}

sub write_conf {
	my ($self, $conn, $after) = @_;
	my $dir = Cwd::abs_path("$self->{dir}");

	open my $out, '>', "$dir/nginx.conf" or die "nginx.conf: $!";
	print $out <<"CONF";
load_module /usr/lib/nginx/modules/ngx_http_echo_module.so;
daemon off;
master_process off;
pid $dir/pid;
error_log $dir/error.log;
events { worker_connections 1024; }
http {
	access_log off;
	client_body_temp_path $dir/body;
	proxy_temp_path $dir/proxy;
	fastcgi_temp_path $dir/fastcgi;
	uwsgi_temp_path $dir/uwsgi;
	scgi_temp_path $dir/scgi;
	log_format times '\$request_uri \$status \$msec \$request_time';
	limit_conn_zone \$server_name zone=all:1m;
	limit_conn_status 429;
	keepalive_requests 100000;
	server {
		listen 127.0.0.1:$self->{port} backlog=1024;
		server_name all;
		access_log $dir/access.log times;
		location / { echo ok; }
		location /slow { echo_sleep 0.1; echo ok; }
		location /counted {
			limit_conn all $conn;
			error_page 429 = \@busy;
			echo_sleep 0.1;
			echo ok;
		}
		location \@busy {
			add_header Retry-After $after always;
			return 429 "busy\\n";
		}
	}
}
CONF
	close $out or die "nginx.conf: $!";
	return;
}

sub launch {
	my ($self) = @_;
	my $pid = fork // die "fork: $!";

	if (!$pid) {
		open STDIN,  '<',  '/dev/null';
		open STDOUT, '>>', "$self->{dir}/out";
		open STDERR, '>&', \*STDOUT;
		exec 'setpriv', '--pdeathsig', 'KILL', '/usr/sbin/nginx', '-p', "$self->{dir}", '-c', "$self->{dir}/nginx.conf",
			'-e', "$self->{dir}/error.log" or _exit(127);
	}
	$self->{pid} = $pid;
	return;
}

sub connects { return IO::Socket::INET->new(PeerAddr => '127.0.0.1', PeerPort => $_[0]{port}) }

sub has_exited {
	my ($self) = @_;
	return 1 unless $self->{pid};
	return unless waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid};
	delete $self->{pid};
	return 1;
}

sub slurp {
	my ($self, $name) = @_;
	open my $in, '<', "$self->{dir}/$name" or return '';
	local $/;
	return <$in> // '';
}

sub port { return $_[0]{port} }
sub url  { return "http://127.0.0.1:$_[0]{port}" . ($_[1] // '/') }
sub key  { return "127.0.0.1:$_[0]{port}" }

sub requests {
	my ($self) = @_;
	my @requests;

	for (split /\n/, $self->slurp('access.log')) {
		my ($path, $status, $end, $took) = split / /;
		push @requests, { path => $path, status => $status, start => $end - $took, end => $end };
	}
	return @requests;
}

# nginx rounds to milliseconds: what ends in the one in which another starts doesn't overlap it.
sub most_at_once {
	my ($self, @requests) = @_;
	my ($now, $most) = (0, 0);
	my @events = sort { $a->[0] <=> $b->[0] || $a->[1] <=> $b->[1] }
		map { ([ $_->{start} + 0.001, 1 ], [ $_->{end} - 0.001, -1 ]) } grep { $_->{end} - $_->{start} > 0.01 } @requests;

	for (@events) {
		$now += $_->[1];
		$most = $now if $now > $most;
	}
	return $most;
}

sub end {
	my ($self) = @_;
	return unless $self->{pid};
	kill KILL => $self->{pid};
	waitpid $self->{pid}, 0;
	delete $self->{pid};
	return;
}

sub DESTROY {
	my ($self) = @_;
	local ($?, $!, $@);
	$self->end;
	return;
}

1;
