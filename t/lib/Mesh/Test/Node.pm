package Mesh::Test::Node;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# A whole node: all modules under conf/mesh.conf, as conf/up renders it, on a
# free port of this machine, with a data folder and a key of its own.
#
#     my $node = Mesh::Test->full(workers => 2);
#     my $ada = $node->register('ada');
#     my $bot = $node->bot('echo', maker => $ada);
#
# Options beside those of Mesh::Test: registration, visibility (as in the
# environment of conf/up), and directives, { name => value }, that take the
# place of those in conf/mesh.conf or come on top of them in http {}.

use strict;
use warnings;

use parent -norequire, 'Mesh::Test';

use Mesh::Test::Participant;

use constant PASSWORD => 'correct horse battery staple';


sub new {
    my ($class, %opt) = @_;

    return $class->SUPER::new(
        modules => [ @Mesh::Test::MODULES ], data => 1, %opt);
}


sub configuration {
    my ($self) = @_;

    my ($rc, $text, $err) = Mesh::Test::run(
        [ "$Mesh::Test::TOP/conf/up", 'config' ],
        env => {
            MESH_BUILD        => $self->{build},
            MESH_RUN          => $self->{prefix},
            MESH_ADDRESS      => '127.0.0.1',
            MESH_PORT         => $self->port,
            MESH_DATA         => $self->data,
            MESH_REGISTRATION => $self->{registration} // '',
            MESH_VISIBILITY   => $self->{visibility} // '',
            MESH_URL          => $self->{url} // '',
            MESH_WORKERS      => $self->{workers},
        });

    die "conf/up config: $err" if $rc != 0;

    my $level = Mesh::Test::log_level();

    $text =~ s/^user\s[^;]*;/user  root;/m;
    $text =~ s/^(error_log\s+\S+\s+)\w+;/$1$level;/m;

    my %directives = %{ $self->{directives} || {} };

    for my $name (sort keys %directives) {
        my $line = "$name  $directives{$name};";

        next if $text =~ s/^(\s*)\Q$name\E\s[^;]*;/$1$line/gm;
        $text =~ s/^http \{\n/http {\n    $line\n/m;
    }

    return $self->expand($text);
}


sub start {
    my ($self) = @_;

    $self->SUPER::start;
    $self->wait_for(sub { $self->get('/api/health')->status == 200 },
                    Mesh::Test::START_SECONDS(), 'a healthy node');

    return $self;
}


# People.

# Who registers first: made when somebody is needed.

sub owner {
    my ($self) = @_;

    $self->{owner} //= $self->create_participant('owner');

    return $self->{owner};
}


# A person with an account; options: password, invite.

sub register {
    my ($self, $name, %opt) = @_;

    $self->owner;

    return $self->create_participant($name, %opt);
}


sub create_participant {
    my ($self, $name, %opt) = @_;

    my %body = (name => $name, password => PASSWORD, %opt);

    return $self->participant(
        $self->post('/api/auth/register', \%body), $name, $body{password});
}


# A new session of somebody who has an account here.

sub login {
    my ($self, $name, %opt) = @_;

    my %body = (name => $name, password => PASSWORD, %opt);

    return $self->participant(
        $self->post('/api/auth/login', \%body), $name, $body{password});
}


# A bot made by "maker" (the owner); further options go into the request:
# type, rooms, commands.

sub bot {
    my ($self, $name, %opt) = @_;

    my $maker = delete $opt{maker} || $self->owner;

    return $self->participant(
        $maker->post('/api/agents/bootstrap',
                     { name => $name, type => 'script', %opt }), $name);
}


sub participant {
    my ($self, $reply, $name, $password) = @_;

    my $json = $reply->json;

    die "no participant \"$name\": " . $reply->raw . "\n"
        if $reply->status !~ /^20[01]$/ || !$json || !$json->{token};

    return Mesh::Test::Participant->new(
        %$json,
        node     => $self,
        name     => $name,
        id       => $json->{participantId} // $json->{agentId},
        password => $json->{secret} // $password,
    );
}


1;
