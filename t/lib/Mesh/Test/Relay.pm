package Mesh::Test::Relay;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The network between a client and the node, which may fail: a port that
# passes bytes on, until it is cut.
#
#     my $relay = Mesh::Test::Relay->new(to => $node->port,
#                                        port => $node->port(2));
#     $relay->cut;        # all connections break; new ones too
#     $relay->mend;

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket ();

my %running;


sub new {
    my ($class, %opt) = @_;

    my $self = bless { %opt }, $class;

    $self->{listener} = IO::Socket::INET->new(
        LocalAddr => '127.0.0.1', LocalPort => $opt{port},
        Listen => 64, ReuseAddr => 1) or die "relay: $@\n";

    pipe $self->{reader}, $self->{writer} or die "pipe: $!";
    pipe my $done_reader, my $done_writer or die "pipe: $!";

    my $pid = fork;
    die "fork: $!" unless defined $pid;

    if ($pid == 0) {
        $self->{done} = $done_writer;
        $SIG{$_} = 'DEFAULT' for qw(INT TERM HUP);
        close $self->{writer};
        $self->run;
        POSIX::_exit(0);
    }

    $running{$pid} = 1;
    close delete $self->{listener};
    $self->{done} = $done_reader;
    $self->{pid} = $pid;

    return $self;
}


sub cut  { return $_[0]->order('c') }
sub mend { return $_[0]->order('m') }

sub order {
    my ($self, $letter) = @_;

    syswrite $self->{writer}, $letter;
    sysread $self->{done}, my $answer, 1;

    return;
}


# In the process of the relay.

sub run {
    my ($self) = @_;

    my %other;                  # socket to socket
    my $cut = 0;
    my $select = IO::Select->new($self->{listener}, $self->{reader});

    while (1) {
        for my $ready ($select->can_read) {

            if ($ready == $self->{reader}) {
                sysread($ready, my $letter, 1) or return;
                $cut = $letter eq 'c';

                if ($cut) {
                    $select->remove($_), reset_socket($_) for values %other;
                    %other = ();
                }

                syswrite $self->{done}, $letter;
                last;
            }

            if ($ready == $self->{listener}) {
                my $near = $ready->accept or next;
                my $far = $cut ? undef : IO::Socket::INET->new(
                    PeerAddr => '127.0.0.1', PeerPort => $self->{to});

                if (!$far) {
                    reset_socket($near);
                    next;
                }

                @other{ $near, $far } = ($far, $near);
                $select->add($near, $far);
                next;
            }

            my $peer = $other{$ready} or next;

            my $bytes = '';

            next if sysread($ready, $bytes, 65536)
                    && write_all($peer, $bytes);

            $select->remove($ready, $peer);
            delete @other{ $ready, $peer };
            close $_ for $ready, $peer;
        }
    }
}


sub write_all {
    my ($socket, $bytes) = @_;

    while (length $bytes) {
        my $n = syswrite $socket, $bytes or return 0;
        substr($bytes, 0, $n) = '';
    }

    return 1;
}


sub reset_socket {
    my ($socket) = @_;

    setsockopt $socket, Socket::SOL_SOCKET(), Socket::SO_LINGER(),
               pack 'ii', 1, 0;

    return close $socket;
}


sub DESTROY {
    my ($self) = @_;

    my $pid = delete $self->{pid} or return;

    return unless delete $running{$pid};

    local ($?, $!);

    kill KILL => $pid;
    waitpid $pid, 0;

    return;
}


END { kill KILL => keys %running }


1;
