package Mesh::Test::Participant;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Somebody on a node, person or bot: asks with their token.

use strict;
use warnings;


sub new {
    my ($class, %opt) = @_;

    return bless { %opt }, $class;
}


sub id       { return $_[0]->{id} }
sub did      { return $_[0]->{did} }
sub name     { return $_[0]->{name} }
sub token    { return $_[0]->{token} }
sub password { return $_[0]->{password} }
sub node     { return $_[0]->{node} }


# As those of Mesh::Test.

sub request {
    my ($self, $method, $path, %opt) = @_;

    return $self->{node}->request($method, $path, token => $self->{token},
                                  %opt);
}


sub get { my $self = shift; return $self->request(GET => @_) }
sub del { my $self = shift; return $self->request(DELETE => @_) }

sub post {
    my $self = shift;
    return $self->request(POST => Mesh::Test::with_body(@_));
}

sub put {
    my $self = shift;
    return $self->request(PUT => Mesh::Test::with_body(@_));
}

sub patch {
    my $self = shift;
    return $self->request(PATCH => Mesh::Test::with_body(@_));
}


# An authenticated WebSocket.

sub ws {
    my ($self, %opt) = @_;

    my $ws = $self->{node}->ws('/ws', %opt);

    $ws->send_json({ type => 'authenticate', token => $self->{token} });
    $ws->recv_json(type => 'auth_ok')
        or die "\"$self->{name}\" was not let in\n";

    return $ws;
}


# Short ways of what most tests of rooms begin with; they die when refused.

sub create_room {
    my ($self, $name, %opt) = @_;

    my $reply = $self->post('/api/rooms', { name => $name, %opt });

    die "no room \"$name\": " . $reply->raw . "\n" if $reply->status != 201;

    return $reply->json->{id};
}


sub join_room {
    my ($self, $room) = @_;

    my $reply = $self->post("/api/rooms/$room/join");

    die "not joined: " . $reply->raw . "\n" if $reply->status >= 300;

    return $self;
}


sub say {
    my ($self, $room, $content, %opt) = @_;

    my $reply = $self->post("/api/rooms/$room/messages",
                            { content => $content, %opt });

    die "not said: " . $reply->raw . "\n" if $reply->status >= 300;

    return $reply->json;
}


1;
