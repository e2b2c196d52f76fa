package Mesh::Test::Crowd;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# People who talk in several rooms at once, through whatever happens to the
# node, and who notice everything: a message lost, doubled or out of order,
# and what was acknowledged and is not in history.
#
#     my $crowd = Mesh::Test::Crowd->new(node => $node, people => \@people,
#                                        rooms => \@room_ids, messages => 10);
#     $crowd->run(0.5 => sub { $node->kill_worker });
#     is_deeply([ $crowd->faults ], [], 'nothing lost, doubled, reordered');
#
# A seat is one connection of one person in one room.  A seat whose
# connection ends comes back with "since" and says again, under the same
# clientId, what was not acknowledged.

use strict;
use warnings;

use Time::HiRes ();

use Mesh::Test::Socket;

use constant WINDOW      => 2;      # messages of a seat not acknowledged yet
use constant RUN_SECONDS => 150;
use constant FAULTS_MAX  => 20;


sub new {
    my ($class, %opt) = @_;

    my $self = bless { messages => 10, seats => [], faults => [], sent => 0,
                       acked => 0, reconnects => 0, %opt }, $class;

    my $people = $self->{people};
    my $rooms = $self->{rooms};
    my $seats = $self->{per_room} || @$people;

    for my $r (0 .. $#$rooms) {
        for my $i (0 .. $seats - 1) {
            push @{ $self->{seats} }, {
                person  => $people->[($r + $i) % @$people],
                room    => $rooms->[$r],
                name    => "seat$r.$i",
                last    => 0,
                unacked => {},
                next    => 1,
                state   => 'away',
            };
        }
    }

    return $self;
}


sub total { return @{ $_[0]{seats} } * $_[0]{messages} }
sub faults { return @{ $_[0]{faults} } }
sub reconnects { return $_[0]{reconnects} }


# Runs until every seat has said everything and heard everything; at each
# fraction of acknowledged messages its code is called once.

sub run {
    my ($self, @events) = @_;

    my $end = Time::HiRes::time() + RUN_SECONDS;

    while (!$self->is_done) {

        if (Time::HiRes::time() > $end) {
            $self->fault('not finished in time: ' . $self->progress);
            last;
        }

        if (@events && $self->{acked} >= $events[0] * $self->total) {
            my (undef, $code) = splice @events, 0, 2;
            $code->();
        }

        $self->step($_) for @{ $self->{seats} };

        Mesh::Test::Socket->pump(
            0.05, map { $_->{ws} ? $_->{ws} : () } @{ $self->{seats} });
    }

    $self->fault('an event never came') if @events;

    return $self;
}


sub is_done {
    my ($self) = @_;

    my $spoken = $self->{messages};
    my %per_room;

    $per_room{ $_->{room} } += $spoken for @{ $self->{seats} };

    for my $seat (@{ $self->{seats} }) {
        return 0 if $seat->{next} <= $spoken || %{ $seat->{unacked} };
        return 0 if $seat->{last} < $per_room{ $seat->{room} };
    }

    return 1;
}


sub progress {
    my ($self) = @_;

    my ($worst) = sort { $a->{last} <=> $b->{last} } @{ $self->{seats} };

    return "$self->{acked} of " . $self->total . " acknowledged; "
           . "$worst->{name} ($worst->{state}) heard $worst->{last}";
}


sub step {
    my ($self, $seat) = @_;

    if ($seat->{state} eq 'away') {
        $self->arrive($seat);
        return;
    }

    $self->frame($seat, $_) for $seat->{ws}->take_json;

    if (!$seat->{ws}->is_open) {
        $seat->{state} = 'away';
        $seat->{joined} = 0;
        $self->{reconnects}++;
        return;
    }

    $self->speak($seat) if $seat->{state} eq 'joined';

    return;
}


sub arrive {
    my ($self, $seat) = @_;

    # a node that is just being killed or reloaded may refuse: try again

    my $ws = eval { $self->{node}->ws('/ws') };

    return unless $ws && $ws->is_open;

    $seat->{ws} = $ws;
    $seat->{state} = 'arriving';
    $ws->send_json({ type => 'authenticate',
                     token => $seat->{person}->token });

    return;
}


sub frame {
    my ($self, $seat, $frame) = @_;

    my $type = $frame->{type};

    if ($type eq 'auth_ok') {
        $seat->{ws}->send_json({ type => 'join_room',
                                 roomId => $seat->{room},
                                 since => $seat->{last} });

    } elsif ($type eq 'room_joined') {
        $seat->{state} = 'joined';
        $self->say($seat, $_) for sort keys %{ $seat->{unacked} };

    } elsif ($type eq 'message') {
        $self->heard($seat, $frame);

    } elsif ($type eq 'ack') {
        $self->{acked}++ if delete $seat->{unacked}{ $frame->{clientId} };
        $seat->{acks}{ $frame->{clientId} } = $frame->{id};

    } elsif ($type eq 'error' && $frame->{error} eq 'busy') {
        $self->say($seat, $frame->{ref}) if $frame->{ref};

    } elsif ($type ne 'presence') {
        $self->fault("$seat->{name}: unexpected $type: "
                     . ($frame->{error} // '') . ' '
                     . ($frame->{detail} // ''));
    }

    return;
}


sub heard {
    my ($self, $seat, $frame) = @_;

    return if $frame->{roomId} ne $seat->{room};

    my $expected = $seat->{last} + 1;

    if ($frame->{seq} != $expected) {
        $self->fault("$seat->{name}: heard $frame->{seq} in place of "
                     . "$expected");
    }

    $seat->{last} = $frame->{seq} if $frame->{seq} > $seat->{last};

    my $known = $self->{order}{ $seat->{room} }{ $frame->{seq} }
        //= $frame->{id};

    if ($known ne $frame->{id}) {
        $self->fault("$seat->{name}: $frame->{seq} is another message than "
                     . 'others heard');
    }

    return;
}


sub speak {
    my ($self, $seat) = @_;

    while (keys %{ $seat->{unacked} } < WINDOW
           && $seat->{next} <= $self->{messages})
    {
        my $client = "$seat->{name}-$seat->{next}";

        $seat->{next}++;
        $seat->{unacked}{$client} = 1;
        $self->{sent}++;
        $self->say($seat, $client);
    }

    return;
}


sub say {
    my ($self, $seat, $client) = @_;

    $seat->{ws}->send_json({ type => 'send_message', roomId => $seat->{room},
                             clientId => $client,
                             content => "this is $client" });

    return;
}


# Compares what was acknowledged with what history holds, room by room.

sub check_history {
    my ($self) = @_;

    my %acks;

    for my $seat (@{ $self->{seats} }) {
        $acks{ $seat->{room} }{ $seat->{acks}{$_} } = $_
            for keys %{ $seat->{acks} };
    }

    for my $room (@{ $self->{rooms} }) {
        my ($person) = map { $_->{person} } grep { $_->{room} eq $room }
                       @{ $self->{seats} };
        my $since = 0;
        my %found;

        while (1) {
            my $page = $person->get("/api/rooms/$room/messages?since=$since"
                                    . '&limit=100')->json;
            my @messages = @{ $page->{messages} };

            last unless @messages;

            for my $message (@messages) {
                $self->fault("$room: history has $message->{seq} after "
                             . $since) if $message->{seq} != $since + 1;
                $since = $message->{seq};
                $found{ $message->{id} }++;
            }
        }

        for my $id (keys %{ $acks{$room} }) {
            $self->fault("$room: acknowledged $acks{$room}{$id} is not in "
                         . 'history') unless $found{$id};
        }

        my $expected = keys %{ $acks{$room} };

        $self->fault("$room: $expected acknowledged, $since in history")
            if $since != $expected;
    }

    return $self;
}


sub leave {
    my ($self) = @_;

    $_->{ws}->abort for grep { $_->{ws} } @{ $self->{seats} };

    return;
}


sub fault {
    my ($self, $text) = @_;

    push @{ $self->{faults} }, $text
        if @{ $self->{faults} } < FAULTS_MAX;

    return;
}


1;
