#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Who gets in: registration modes, invites, guests, and what needs no token
# at all (reference/the-mesh.md, claims 4 and 5).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $password = Mesh::Test::Identity::PASSWORD;


# Invites.

{
    my $node = Mesh::Test::Identity->new(workers => 2, directives => {
        mesh_identity_registration => 'invite' })->start;

    my $owner = $node->owner;
    my $refused = $node->post('/api/auth/register',
                              { name => 'bob', password => $password });

    is($refused->status, 403, 'registration asks for an invite');
    is($refused->json->{error}, 'invite-required', 'and says so');

    my $reply = $owner->post('/api/invites', {});
    my $invite = $reply->json;

    is($reply->status, 201, 'the owner makes an invite');
    like($invite->{code}, qr/^[a-z2-7]{26}$/, 'a code of 128 bits');
    is($invite->{role}, 'member', 'to a member');
    is($invite->{uses}, 1, 'once');
    is($invite->{createdBy}, $owner->id, 'from its creator');

    my $bob = $node->register('bob', invite => uc $invite->{code});

    is($bob->{role}, 'member', 'with it one registers');
    is($node->post('/api/auth/register',
                   { name => 'eve', password => $password,
                     invite => $invite->{code} })->json->{error},
       'invite-invalid', 'once and not again');

    for my $code ('a' x 26, 'short', 'a' x 25 . '!') {
        is($node->post('/api/auth/register',
                       { name => 'eve', password => $password,
                         invite => $code })->json->{error},
           'invite-invalid', "\"$code\" is no invite");
    }

    # three uses, ten at once

    $invite = $bob->post('/api/invites', { uses => 3 })->json;

    my @calls = map {
        $node->begin(POST => '/api/auth/register',
                     json => { name => "guest $_", password => $password,
                               invite => $invite->{code} })
    } 1 .. 10;
    my @made = grep { $_->status == 201 } map { $_->reply } @calls;

    is(scalar @made, 3, 'an invite of three uses lets three in, also at once');

    # roles

    is($owner->post('/api/invites', { role => 'moderator' })->status, 201,
       'the owner invites a moderator');
    is($bob->post('/api/invites', { role => 'moderator' })->json->{error},
       'role-too-high', 'a member does not');
    is($owner->post('/api/invites', { role => 'owner' })->json->{error},
       'role-too-high', 'there is one owner');
    is($bob->post('/api/invites', { role => 'king' })->status, 400,
       'nobody is invited to a role that is not there');

    my $spectator = $node->register('sam', invite =>
        $owner->post('/api/invites', { role => 'spectator' })->json->{code});

    is($spectator->{role}, 'spectator', 'the role of the invite counts');
    is($node->may($spectator->token, '/room/send', 'r_1'), 403,
       'a spectator cannot send');
    is($node->may($spectator->token, '/room/read', 'r_1'), 200,
       'but read');

    my $no = $spectator->post('/api/invites', {});

    is($no->status, 403, 'a spectator invites nobody');
    is($no->json->{command}, '/member/invite', 'the answer names the command');

    # an invite is worth what its creator may now

    my $mod = $node->register('mod', invite =>
        $owner->post('/api/invites', { role => 'moderator' })->json->{code});
    my $high = $mod->post('/api/invites', { role => 'moderator' })->json;
    my $low = $mod->post('/api/invites', { role => 'member' })->json;

    is($owner->patch('/api/participants/' . $mod->id, { role => 'member' })
       ->status, 200, 'the creator of an invite loses a role');
    is($node->post('/api/auth/register',
                   { name => 'x', password => $password,
                     invite => $high->{code} })->json->{error},
       'invite-invalid', 'and cannot hand it out any more');
    is($node->post('/api/auth/register',
                   { name => 'x', password => $password,
                     invite => $low->{code} })->status, 201,
       'what the creator still may give is given');

    my $rest = $mod->post('/api/auth/login', { name => 'mod',
        password => $mod->password }, token => undef)->json;
    my $last = $node->post('/api/invites', {}, token => $rest->{token})->json;

    is($owner->del('/api/participants/' . $mod->id)->status, 204,
       'the creator of an invite is removed');
    is($node->post('/api/auth/register',
                   { name => 'y', password => $password,
                     invite => $last->{code} })->json->{error},
       'invite-invalid', 'and invites nobody any more');

    # expiry

    my $short = $owner->post('/api/invites', { expiresIn => 1, uses => 1000 })
                ->json;
    my $n = 0;

    ok($node->wait_for(sub {
        my $reply = $node->post('/api/auth/register',
                                { name => 'late ' . $n++,
                                  password => $password,
                                  invite => $short->{code} });

        return $reply->status == 403
               && $reply->json->{error} eq 'invite-invalid';
    }, 20), 'an invite of one second is worth nothing afterwards');

    # a bot by invite

    my $bot = $node->post('/api/agents/bootstrap',
        { name => 'by invite', type => 'script',
          invite => $owner->post('/api/invites', {})->json->{code} });

    is($bot->status, 201, 'an invite also makes a bot');
    is($bot->json->{maker}, $owner->id, 'whose maker made the invite');
    is($node->post('/api/agents/bootstrap', { name => 'no invite' })->status,
       401, 'without anybody who answers for it there is no bot');

    $node->stop;
}


# Closed.

{
    my $node = Mesh::Test::Identity->new->start;

    $node->post('/api/setup/init', { name => 'owner', password => $password,
                                     registration => 'closed' });

    my $owner = $node->post('/api/auth/login',
        { name => 'owner', password => $password })->json;
    my $code = $node->post('/api/invites', {}, token => $owner->{token})
               ->json->{code};

    for my $body ({ name => 'bob', password => $password },
                  { name => 'bob', password => $password, invite => $code })
    {
        my $reply = $node->post('/api/auth/register', $body);

        is($reply->status, 403, 'a closed mesh takes nobody');
        is($reply->json->{error}, 'registration-closed', 'and says so');
    }

    is($node->post('/api/agents/bootstrap', { name => 'b', invite => $code })
       ->json->{error}, 'registration-closed', 'no bot of a stranger either');
    is($node->post('/api/agents/bootstrap', { name => 'b' },
                   token => $owner->{token})->status, 201,
       'but the bot of somebody who is in');

    $node->stop;
}


# Guests.

{
    my $node = Mesh::Test::Identity->new(directives => {
        mesh_identity_session_time => '2s' })->start;

    my $owner = $node->owner;
    my $refused = $node->post('/api/auth/guest', {});

    is($refused->status, 403, 'a private mesh takes no guests');
    like($refused->json->{detail}, qr/private/, 'and says why');

    $node->stop;

    $node = Mesh::Test::Identity->new(directives => {
        mesh_identity_visibility => 'public',
        mesh_identity_session_time => '2s' })->start;

    $node->owner;

    my $reply = $node->post('/api/auth/guest', {});
    my $guest = $reply->json;

    is($reply->status, 201, 'a public one does');
    is($guest->{role}, 'spectator', 'as spectators');
    like($guest->{name}, qr/^guest-/, 'with a name');
    is($node->may($guest->{token}, '/room/read', 'r_1'), 200,
       'a guest may read');
    is($node->may($guest->{token}, '/room/send', 'r_1'), 403,
       'and not send');
    is($node->get('/api/auth/me', token => $guest->{token})->json->{kind},
       'guest', 'a guest is known as one');
    is($node->post('/api/auth/guest', { name => 'visitor' })->status, 201,
       'a guest may choose a name');
    is($node->post('/api/auth/guest', { name => 'owner' })->status, 409,
       'but nobody else\'s');
    is($node->post('/api/auth/login', { name => $guest->{name},
                                        password => $password })->status, 401,
       'a guest has no password');

    ok($node->wait_for(sub {
        $node->get('/api/auth/me', token => $guest->{token})->status == 401
    }, 10), 'a guest goes when its session does');
    ok($node->wait_for(sub {
        $node->post('/api/auth/guest', { name => 'visitor' })->status == 201
    }, 10), 'and its name is free again');

    $node->stop;
}


# Without a token.

{
    my $node = Mesh::Test::Identity->new->start;

    $node->owner;

    for my $line ('GET /api/auth/me', 'POST /api/auth/logout',
                  'POST /api/invites', 'GET /api/participants/p_0',
                  'PATCH /api/participants/p_0', 'GET /api/roles',
                  'DELETE /api/participants/p_0', 'POST /api/roles',
                  'PATCH /api/roles/x', 'DELETE /api/roles/x')
    {
        my ($method, $path) = split / /, $line;
        my %body = $method =~ /^P/ ? (json => { role => 'member' }) : ();
        my $reply = $node->request($method, $path, %body);

        is($reply->status, 401, "$line needs a token");
        like($reply->header('WWW-Authenticate'), qr/^Bearer/,
             "$line says which kind");
    }

    $node->stop;
}


done_testing;
