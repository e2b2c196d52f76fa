package Servers;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The servers of the benchmark.  Each starts when it is made, stops when it
# is gone, and knows how wsload has to talk to it:
#
#     pids         processes whose CPU time and memory counts
#     options($s)  arguments of wsload for a scenario: where members and
#                  publishers go, and what they say

use strict;
use warnings;

use File::Path ();
use File::Temp ();
use POSIX ();
use Time::HiRes ();

use Mesh::Test;

use constant {
    START_SECONDS => 20,
    CONNECTIONS   => 12000,
};


# A child of ours that listens on a port; gone with its object.

sub spawn {
    my ($class, $port, @command) = @_;

    my $pid = fork;
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        { exec { $command[0] } @command }
        POSIX::_exit(127);
    }

    my $self = bless { pid => $pid, port => $port }, $class;
    my $end = Time::HiRes::time() + START_SECONDS;

    while (!Mesh::Test::can_connect($port)) {

        die "$command[0] does not start\n"
            if waitpid($pid, POSIX::WNOHANG()) == $pid
               || Time::HiRes::time() > $end;

        Time::HiRes::sleep(0.05);
    }

    return $self;
}


sub children {
    my ($pid) = @_;

    return split ' ', Mesh::Test::slurp("/proc/$pid/task/$pid/children");
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!);

    kill TERM => $self->{pid};
    waitpid $self->{pid}, 0;

    File::Path::remove_tree($self->{folder}, { safe => 1 })
        if $self->{folder};

    return;
}


# Where all members and publishers of a plain server go.

sub options {
    my ($self, $s) = @_;

    my $at = "127.0.0.1:$self->{port}";

    return ('--url', "ws://$at/sub/room-%r",
            '--pub', "$s->{by}://$at/pub/room-%r");
}


# The lower bound: rawcast in one of its modes.

package Servers::Raw;

our @ISA = ('Servers');

sub new {
    my ($class, $program, $mode) = @_;

    my $port = Mesh::Test::free_port();

    return $class->spawn($port, $program, $port, $mode);
}


sub pids { return $_[0]->{pid} }


# nchan as its documentation sets it up, one worker, messages kept.

package Servers::Nchan;

our @ISA = ('Servers');

sub module {
    my ($rc, $out, $text)
        = Mesh::Test::run([ Mesh::Test::nginx_binary(), '-V' ]);
    my ($folder) = "$out$text" =~ /--modules-path=(\S+)/ or return;
    my $path = "$folder/ngx_nchan_module.so";

    return -f $path ? $path : undef;
}


sub new {
    my ($class) = @_;

    my $folder = File::Temp::tempdir('mesh-nchan-XXXXXXXX', TMPDIR => 1);
    my $port = Mesh::Test::free_port();
    my $module = module();
    my $user = $> == 0 ? 'user  root;' : '';
    my $temp = join '', map { "    ${_}_temp_path  tmp/$_;\n" }
               qw(client_body proxy fastcgi uwsgi scgi);
    my $connections = Servers::CONNECTIONS;

    mkdir "$folder/$_" for qw(logs tmp);

    open my $file, '>', "$folder/nginx.conf" or die "$folder: $!";
    print {$file} <<"END";
load_module       $module;
$user
daemon            off;
worker_processes  1;
pid               nginx.pid;
error_log         logs/error.log warn;

events {
    worker_connections  $connections;
}

http {
    access_log          off;
    keepalive_requests  1000000000;

$temp
    nchan_shared_memory_size     256m;
    nchan_message_timeout        60s;
    nchan_message_buffer_length  100;

    server {
        listen  127.0.0.1:$port backlog=4096;

        location ~ ^/sub/(.+)\$ {
            nchan_subscriber                websocket;
            nchan_subscriber_first_message  newest;
            nchan_channel_id                \$1;
        }

        location ~ ^/pub/(.+)\$ {
            nchan_publisher   http websocket;
            nchan_channel_id  \$1;
        }
    }
}
END
    close $file or die "$folder: $!";

    my $self = $class->spawn(
        $port, Mesh::Test::nginx_binary(), '-p', "$folder/",
        '-e', 'logs/error.log', '-c', "$folder/nginx.conf");

    $self->{folder} = $folder;

    return $self;
}


sub pids { return Servers::children($_[0]->{pid}) }


# A whole node, one worker, without limits on what one participant may do.

package Servers::Mesh;

sub new {
    my ($class, $people, $rooms) = @_;

    my $node = Mesh::Test->full(workers => 1, directives => {
        access_log            => 'off',
        keepalive_requests    => 1000000000,
        worker_connections    => Servers::CONNECTIONS,
        mesh_room_connections => 100000,
        mesh_room_rate        => 0,
    });

    my @people = map { $node->register("person$_") } 1 .. $people;
    my @rooms = map { $node->owner->create_room("room $_") } 0 .. $rooms - 1;

    my $self = bless { node => $node }, $class;

    # who publishes is the first of them, and has to be a member

    $people[0]->join_room($_) for @rooms;

    $self->{rooms} = $node->write_file('bench/rooms',
                                       join '', map { "$_\n" } @rooms);
    $self->{tokens} = $node->write_file(
        'bench/tokens', join '', map { $_->token . "\n" } @people);

    return $self;
}


sub pids { return $_[0]->{node}->workers }


sub options {
    my ($self, $s) = @_;

    my $at = '127.0.0.1:' . $self->{node}->port;
    my $is_http = $s->{by} eq 'http';

    my @publisher = $is_http
        ? ('--pub', "http://$at/api/rooms/%r/messages",
           '--pub-header', 'Content-Type: application/json',
           '--message', '{"content":"%p"}')
        : ('--pub', "ws://$at/ws",
           '--pub-ready', '"type":"auth_ok"',
           '--message', '{"type":"send_message","roomId":"%r",'
                        . '"content":"%p"}');

    return (
        '--room-names', $self->{rooms}, '--tokens', $self->{tokens},
        '--url', "ws://$at/ws",
        '--header', 'Authorization: Bearer %t',
        '--hello', '{"type":"join_room","roomId":"%r"}',
        '--ready', '"type":"room_joined"',
        '--error', '"type":"error"',
        '--pub-header', 'Authorization: Bearer %t',
        @publisher,
    );
}


1;
