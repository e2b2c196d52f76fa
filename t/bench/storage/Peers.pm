package Peers;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The servers of the benchmark.  Each runs when new() returns it, holds all
# keys, and is gone with its object.  new() gives nothing, and says why, when
# what it needs is not installed.
#
#     port         where it listens
#     cpu_seconds  of all its processes, so far

use strict;
use warnings;

use File::Path ();
use File::Temp ();
use IO::Socket::INET;
use POSIX ();
use Time::HiRes ();

use Mesh::Test;

use constant {
    START_SECONDS => 20,
    KEYS          => 2000,
    SIZE          => 200,
};


sub has {
    my ($program) = @_;

    return scalar grep { -x "$_/$program" } split(/:/, $ENV{PATH}),
                       '/usr/sbin', '/sbin';
}


sub words {
    return qw(anchor bridge candle desert engine forest garden harbor island
              jacket kettle ladder mirror needle orange pepper quarry ribbon
              saddle tunnel);
}


sub port { return $_[0]->{port} }


# A child of ours that listens on a port.

sub spawn {
    my ($self, $port, @command) = @_;

    my $pid = fork;
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        open STDIN, '<', '/dev/null';
        open STDOUT, '>', '/dev/null';
        { exec { $command[0] } @command }
        POSIX::_exit(127);
    }

    push @{ $self->{pids} }, $pid;

    my $end = Time::HiRes::time() + START_SECONDS;

    while (!Mesh::Test::can_connect($port)) {

        die "$command[0] does not start\n"
            if waitpid($pid, POSIX::WNOHANG()) == $pid
               || Time::HiRes::time() > $end;

        Time::HiRes::sleep(0.05);
    }

    return $self;
}


sub tree {
    my ($pid) = @_;

    my @children = map { split ' ', Mesh::Test::slurp($_) // '' }
                   glob "/proc/$pid/task/*/children";

    return ($pid, map { tree($_) } @children);
}


sub cpu_seconds {
    my ($self) = @_;

    my $ticks = 0;

    for my $pid (map { tree($_) } @{ $self->{pids} }) {
        my $text = Mesh::Test::slurp("/proc/$pid/stat") // next;
        my @fields = split ' ', $text =~ s/^.*\)\s//sr;

        $ticks += $fields[11] + $fields[12];
    }

    return $ticks / POSIX::sysconf(POSIX::_SC_CLK_TCK());
}


# So that no GET meets an absent key.  Each request is one write: a body that
# comes after its headers would wait for a delayed acknowledgement.

sub fill {
    my ($self, $prefix, $headers) = @_;

    my $socket = IO::Socket::INET->new(
        PeerAddr => "127.0.0.1:$self->{port}") or die "connect: $!\n";
    my $size = SIZE;

    for my $i (0 .. KEYS - 1) {
        syswrite $socket,
            "PUT $prefix$i HTTP/1.1\r\nHost: localhost\r\n"
            . ($headers // '')
            . "Content-Type: application/octet-stream\r\n"
            . "Content-Length: $size\r\n\r\n" . 'x' x $size;

        my $reply = '';

        while (!is_complete($reply)) {
            sysread $socket, $reply, 4096, length $reply
                or die "$prefix$i: no answer\n";
        }

        die "$prefix$i: $reply\n" if $reply !~ m{^HTTP/1.1 20\d };
    }

    return $self;
}


sub is_complete {
    my ($reply) = @_;

    my ($head, $body) = split /\r\n\r\n/, $reply, 2;

    return 0 if !defined $body;

    return length $body >= ($head =~ /^content-length:\s*(\d+)/im ? $1 : 0);
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!);

    # webdis does not always go when it is asked to

    for my $pid (reverse @{ $self->{pids} || [] }) {
        kill TERM => $pid;
        next if Mesh::Test::reap($pid, 2);
        kill KILL => $pid;
        waitpid $pid, 0;
    }

    File::Path::remove_tree($self->{folder}, { safe => 1 })
        if $self->{folder};

    return;
}


# nginx that does nothing.

package Peers::Nginx;

our @ISA = ('Peers');

sub new {
    my ($class) = @_;

    my $nginx = Mesh::Test->new(
        conf   => "    access_log  off;\n"
                  . "    keepalive_requests  1000000000;\n",
        server => '        location / { return 200 "' . 'x' x Peers::SIZE
                  . '"; }')->start;

    return bless {
        nginx => $nginx,
        port  => $nginx->port,
        pids  => [ $nginx->{pid} ],
    }, $class;
}

sub DESTROY {
    my ($self) = @_;

    local ($?, $!);

    $self->{nginx}->stop;

    return;
}


# webdis in front of redis.

package Peers::Webdis;

our @ISA = ('Peers');

sub new {
    my ($class, $mode) = @_;

    for my $program (qw(redis-server webdis)) {
        next if Peers::has($program);

        print STDERR "SKIPPING webdis+redis: on Debian install: "
                     . "redis-server webdis\n";
        return;
    }

    my $self = bless {
        folder => File::Temp::tempdir('mesh-redis-XXXXXXXX', TMPDIR => 1),
        port   => Mesh::Test::free_port(),
    }, $class;

    my $redis = Mesh::Test::free_port();
    my $appends = $mode eq 'memory' ? 'no' : 'yes';

    $self->spawn($redis, 'redis-server', '--port', $redis, '--bind',
                 '127.0.0.1', '--save', '', '--dir', $self->{folder},
                 '--appendonly', $appends, '--appendfsync', 'always');

    open my $file, '>', "$self->{folder}/webdis.json" or die $!;
    print {$file} Mesh::Test::json_encode({
        redis_host => '127.0.0.1', redis_port => $redis,
        http_host  => '127.0.0.1', http_port  => 0 + $self->{port},
        threads => 1, pool_size => 8, daemonize => \0, verbosity => 0,
        logfile => "$self->{folder}/webdis.log",
        acl => [ { enabled => ['*'] } ],
    });
    close $file or die $!;

    $self->spawn($self->{port}, 'webdis', "$self->{folder}/webdis.json");

    return $self->fill('/SET/key-');
}


# fastify and better-sqlite3.

package Peers::Node;

our @ISA = ('Peers');

sub new {
    my ($class, $here, $mode, $node) = @_;

    $node = "$Mesh::Test::TOP/.node" if !defined $node;

    if (!Peers::has('node') || !-d "$node/node_modules/better-sqlite3"
        || !-d "$node/node_modules/fastify")
    {
        print STDERR "SKIPPING fastify+better-sqlite3: npm install them into "
                     . "a folder and name it by --node\n" if $mode eq 'normal';
        return;
    }

    my $self = bless {
        folder => File::Temp::tempdir('mesh-peer-XXXXXXXX', TMPDIR => 1),
        port   => Mesh::Test::free_port(),
    }, $class;

    local $ENV{MESH_BENCH_NODE} = $node;

    $self->spawn($self->{port}, 'node', "$here/peer.mjs", $self->{port},
                 "$self->{folder}/kv.db", $mode);

    return $self->fill('/kv/bot/key-');
}


# A whole node: a person with a session, keys, a room with messages, documents
# with words in them.

package Peers::Mesh;

our @ISA = ('Peers');

sub new {
    my ($class, $workers, $messages, $docs) = @_;

    my $node = Mesh::Test->full(workers => $workers, directives => {
        access_log         => 'off',
        keepalive_requests => 1_000_000_000,
    });

    my $ada = $node->register('ada');

    my $self = bless {
        node => $node,
        ada  => $ada,
        port => $node->port,
        pids => [ $node->{pid} ],
        room => $ada->create_room('bench'),
    }, $class;

    $self->fill($self->kv, 'Authorization: Bearer ' . $ada->token . "\r\n");
    $self->talk($messages);
    $self->write_docs($docs);

    return $self;
}

sub kv { return '/api/storage/kv/' . $_[0]->{ada}->id . '/key-' }
sub env { return (TOKEN => $_[0]->{ada}->token) }
sub history { return "/api/rooms/$_[0]->{room}/messages?limit=50" }

sub search {
    my ($self) = @_;

    return '/api/storage/search/' . $self->{ada}->id . '?limit=20&q=';
}

sub talk {
    my ($self, $messages) = @_;

    for my $i (1 .. $messages) {
        $self->{ada}->say($self->{room}, "$i " . 'x' x Peers::SIZE);
    }

    return;
}

# In batches; a word is in every twentieth document.

sub write_docs {
    my ($self, $docs) = @_;

    my @words = Peers::words();
    my $ns = $self->{ada}->id;
    my $n = 0;

    while ($n < $docs) {
        my @operations;

        for (1 .. 200) {
            my $text = join ' ', $words[$n % @words], map { "w$_" }
                       map { int rand 5000 } 1 .. 20;

            push @operations, { op => 'put', kind => 'docs',
                                collection => 'notes', id => "n$n",
                                value => { text => $text } };
            $n++;
        }

        my $reply = $self->{ada}->post("/api/storage/batch/$ns",
                                       { operations => \@operations });

        die 'batch: ' . $reply->raw . "\n" if $reply->status != 200;
    }

    my $reply = $self->{ada}->get($self->search . 'anchor&wait=1');

    die 'search: ' . $reply->raw . "\n" if $reply->status != 200;

    return;
}

sub DESTROY {
    my ($self) = @_;

    local ($?, $!);

    $self->{node}->stop if $self->{node};

    return;
}

1;
