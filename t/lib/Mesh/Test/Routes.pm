package Mesh::Test::Routes;

# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Every endpoint of the node, as the route tables of the modules have them, so
# that an endpoint that is added is walked by the tests from then on.
#
#     for my $route (Mesh::Test::Routes->all(room => $room, ...)) {
#         my $reply = $node->request(@$route, token => $token);
#     }
#
# A route is (METHOD, path, json => BODY).  The ids in the paths are those
# given: room, participant, role.  Bodies are such that a caller who may do
# the thing does it.

use strict;
use warnings;

use Mesh::Test;

my %kind_of = (rooms => 'room', members => 'participant',
               participants => 'participant', roles => 'role');


sub all {
    my ($class, %id) = @_;

    my @routes;

    for my $file (sort glob "$Mesh::Test::TOP/modules/*/*.c") {
        my $text = Mesh::Test::slurp($file);

        while ($text =~ m{\{\s*NGX_HTTP_([A-Z]+),\s*"(/api/[^"]*)"}g) {
            my ($method, $path) = ($1, $2);

            $path =~ s{(\w+)/:}{"$1/" . ($id{ $kind_of{$1} // '' } // '')}ge;
            push @routes, [ $method, $path, body($method, $path, %id) ];
        }
    }

    die "no routes were found\n" if @routes < 20;

    return @routes;
}


sub body {
    my ($method, $path, %id) = @_;

    return () if $method eq 'GET' || $method eq 'DELETE';

    my $name = 'walker' . int rand 1e9;
    my %login = (name => $name, password => 'correct horse battery');
    my %body = (
        '/api/setup/init'       => { %login },
        '/api/auth/register'    => { %login },
        '/api/auth/login'       => { %login },
        '/api/agents/bootstrap' => { name => $name, type => 'script' },
        '/api/invites'          => { role => 'member' },
        '/api/roles'            => { name => $name, priority => 1,
                                     permissions => {} },
        '/api/rooms'            => { name => $name },
        '/api/dms'              => { to => $id{participant},
                                     content => 'hello' },
        "/api/rooms/$id{room}/messages" => { content => 'hello' },
        "/api/rooms/$id{room}/members"
            => { participantId => $id{participant} },
        "/api/participants/$id{participant}" => { role => 'spectator' },
        "/api/roles/$id{role}"  => { priority => 1 },
    );

    return (json => $body{$path} // {});
}


1;
