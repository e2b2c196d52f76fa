package Mesh::Test::Program;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A program that runs beside the test, such as a bot; it ends with it.
#
#     my $bot = Mesh::Test::Program->new(
#         command => [ 'node', 'bot.js' ], folder => $node->prefix,
#         env => { NAME => 'echo' });
#
#     $node->wait_for(sub { $bot->output =~ /joined/ }, 20, 'a bot');
#     is($bot->end('TERM'), 0, 'it goes when asked');

use strict;
use warnings;

use POSIX ();
use Scalar::Util ();

use Mesh::Test;

my %running;


sub new {
    my ($class, %opt) = @_;

    my $self = bless { %opt, file => File::Temp->new }, $class;
    my $pid = fork;

    die "fork: $!" unless defined $pid;

    if ($pid == 0) {

        # a group of its own: what the program starts is ended with it

        setpgrp;
        chdir $self->{folder} or POSIX::_exit(126);
        open STDIN, '<', File::Spec->devnull;
        open STDOUT, '>>', $self->{file}->filename;
        open STDERR, '>&', \*STDOUT;
        %ENV = (%ENV, %{ $self->{env} || {} });
        { exec { $self->{command}[0] } @{ $self->{command} } }
        POSIX::_exit(127);
    }

    setpgrp $pid, $pid;
    $self->{pid} = $pid;
    Scalar::Util::weaken($running{$pid} = $self);

    return $self;
}


# What it wrote so far, errors included.

sub output { return Mesh::Test::slurp($_[0]->{file}->filename) }


sub is_running {
    my ($self) = @_;

    if (defined $self->{pid}
        && waitpid($self->{pid}, POSIX::WNOHANG()) == $self->{pid})
    {
        $self->note($?);
    }

    return defined $self->{pid};
}


# Its exit code, when it has ended by itself or by the signal given; of a
# program that a signal ended, 128 more than that.

sub end {
    my ($self, $signal) = @_;

    return $self->{code} unless $self->is_running;

    kill "-$signal", $self->{pid} if $signal;
    waitpid $self->{pid}, 0;

    return $self->note($?);
}


sub note {
    my ($self, $status) = @_;

    kill '-KILL', $self->{pid};

    delete $running{ delete $self->{pid} };
    $self->{code} = $status & 127 ? 128 + ($status & 127) : $status >> 8;

    return $self->{code};
}


sub DESTROY {
    my ($self) = @_;

    local ($?, $!, $@);

    $self->end('KILL');

    return;
}


END { $_->DESTROY for grep { defined } values %running }


1;
