package Mesh::Test::Identity;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A node that knows accounts and nothing else: the ucan, storage and identity
# modules, and for each command a location /may/<command> that it guards.
#
#     my $node = Mesh::Test::Identity->new(
#         directives => { mesh_identity_registration => 'invite' })->start;
#
#     my $ada = $node->register('ada');
#     is($node->may($ada->token, '/room/send'), 200, 'a member may send');
#
# Options beside those of Mesh::Test: directives, { name => value }, for
# http {}.

use strict;
use warnings;

use Mesh::Test;
use Mesh::Test::Participant;

use parent -norequire, 'Mesh::Test';

use constant PASSWORD => 'correct horse battery staple';

our @COMMANDS = map { "/$_" } qw(
    room/list room/read room/join room/send room/create room/manage dm/send
    role/manage member/manage member/invite ucan/delegate ucan/revoke
    mesh/admin storage/read storage/write storage/admin);


sub new {
    my ($class, %opt) = @_;

    my %directives = %{ $opt{directives} || {} };
    my $lines = join '', map { "    $_  $directives{$_};\n" }
                sort keys %directives;
    my $locations = join '', map { my $arg = argument($_); <<"END" } @COMMANDS;
        location = /may$_ {
            ucan          on;
            ucan_require  $_ $arg=\$arg_$arg;
            empty_gif;
        }
END

    return $class->SUPER::new(
        modules => [qw(ucan storage identity)],
        data    => 1,
        main    => "thread_pool  store     threads=2;\n"
                   . "thread_pool  password  threads=2;\n",
        server  => undef,
        conf    => <<"END",
    large_client_header_buffers  4 32k;

    mesh_storage               %%DATA%%/mesh.db;
    mesh_storage_thread_pool   store;

    ucan_audience         file:%%DATA%%/mesh.did;
    ucan_trust            file:%%DATA%%/mesh.did;
    ucan_revocation_zone  revocations:1m;

    mesh_identity_key          %%DATA%%/mesh.key;
    mesh_identity_thread_pool  password;

$lines
    server {
        listen       127.0.0.1:%%PORT%%;
        server_name  localhost;

        ucan  optional;

        location /api/ {
            mesh_identity  on;
        }

$locations
    }
END
        %opt);
}


# What a command is about.

sub argument {
    my ($command) = @_;

    return $command =~ m{^/storage/} ? 'ns' : 'room';
}


# The status that a guarded location answers to a token, for a room or, of
# storage, a namespace.

sub may {
    my ($self, $token, $command, $value) = @_;
    my $arg = argument($command);

    return $self->get("/may$command?$arg=" . ($value // ''),
                      token => $token)->status;
}


# People; whoever registers first is the owner.

sub register {
    my ($self, $name, %opt) = @_;

    $self->owner;

    return $self->create_participant($name, %opt);
}


sub owner {
    my ($self) = @_;

    $self->{owner} //= $self->create_participant('owner');

    return $self->{owner};
}


sub create_participant {
    my ($self, $name, %opt) = @_;

    return $self->participant(
        $self->post('/api/auth/register',
                    { name => $name, password => PASSWORD, %opt }),
        $name, $opt{password} // PASSWORD);
}


# A bot; further options go into the request.

sub bot {
    my ($self, $name, %opt) = @_;

    my $maker = delete $opt{maker} || $self->owner;

    return $self->participant(
        $maker->post('/api/agents/bootstrap', { name => $name, %opt }),
        $name);
}


# Who a reply of 201 is about.

sub participant {
    my ($self, $reply, $name, $password) = @_;

    my $json = $reply->json;

    die "no participant \"$name\": " . $reply->raw . "\n"
        if $reply->status != 201;

    return Mesh::Test::Participant->new(
        %$json,
        node     => $self,
        name     => $name,
        id       => $json->{participantId} // $json->{agentId},
        password => $json->{secret} // $password,
    );
}


1;
