#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The first to register is the owner, whichever way they come, and of several
# who race for it exactly one is (reference/the-mesh.md, claim 2).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $password = Mesh::Test::Identity::PASSWORD;


# Registering.

{
    my $node = Mesh::Test::Identity->new->start;

    my $status = $node->get('/api/setup/status');

    is($status->status, 200, 'anybody may ask for the status');
    is_deeply($status->json,
              { initialized => JSON::PP::false, registration => 'open',
                visibility => 'private', mesh => $node->did },
              'a fresh mesh has no owner, and says what it is');

    my $first = $node->post('/api/auth/register',
                            { name => 'Ada', password => $password });
    my $ada = $first->json;

    is($first->status, 201, 'the first registers');
    is($ada->{role}, 'owner', 'and is the owner');
    like($ada->{participantId}, qr/^p_[0-9a-z]{26}$/, 'with an id');
    like($ada->{did}, qr/^did:key:z6Mk/, 'a DID');
    like($ada->{expiresAt}, qr/^\d{4}-\d\d-\d\dT.*\.\d{3}Z$/,
         'and a session that ends');
    unlike($ada->{token}, qr{[^A-Za-z0-9_-]},
           'the token fits a header and a subprotocol');
    is($first->header('Cache-Control'), 'no-store',
       'nobody keeps a copy of it');

    my $bob = $node->post('/api/auth/register',
                          { name => 'bob', password => $password })->json;

    is($bob->{role}, 'member', 'the second is a member');

    is($node->may($ada->{token}, '/mesh/admin'), 200,
       'the owner may what nobody else may');
    is($node->may($bob->{token}, '/mesh/admin'), 403, 'a member may not');
    is($node->may($bob->{token}, '/room/send', 'r_1'), 200,
       'but talk in rooms');

    ok($node->get('/api/setup/status')->json->{initialized},
       'now the mesh has an owner');

    my $late = $node->post('/api/setup/init',
                           { name => 'eve', password => $password });

    is($late->status, 409, 'a first run happens once');
    is($late->json->{error}, 'already-initialized', 'and says so');

    my $taken = $node->post('/api/auth/register',
                            { name => 'ADA', password => $password });

    is($taken->status, 409, 'a name is taken in any case');
    is($taken->json->{error}, 'name-taken', 'and says so');

    my $me = $node->get('/api/auth/me', token => $bob->{token})->json;

    is($me->{participantId}, $bob->{participantId}, 'a token tells who it is');
    is_deeply([ @$me{qw(name did role kind)} ],
              [ 'bob', $bob->{did}, 'member', 'person' ], 'in all members');
    ok($me->{custodial}, 'and that the mesh keeps the key');

    $node->stop;
}


# The first run with settings.

{
    my $node = Mesh::Test::Identity->new->start;

    my $made = $node->post('/api/setup/init',
                           { name => 'owner', password => $password,
                             meshName => "Ada's mesh",
                             registration => 'invite',
                             visibility => 'public' });

    is($made->status, 201, 'a first run makes an account');
    is($made->json->{role}, 'owner', 'of the owner');
    ok($made->json->{token}, 'who is logged in at once');

    my $status = $node->get('/api/setup/status')->json;

    is_deeply([ @$status{qw(initialized registration visibility name)} ],
              [ JSON::PP::true, 'invite', 'public', "Ada's mesh" ],
              'and the settings hold');

    is($node->post('/api/auth/register',
                   { name => 'bob', password => $password })->json->{error},
       'invite-required', 'as the next one finds out');

    $node->stop;
}


# What the configuration fixes, a first run cannot change.

{
    my $node = Mesh::Test::Identity->new(directives => {
        mesh_identity_registration => 'closed' })->start;

    my $other = $node->post('/api/setup/init',
                            { name => 'owner', password => $password,
                              registration => 'open' });

    is($other->status, 400, 'a choice against the configuration is refused');
    like($other->json->{detail}, qr/mesh_identity_registration/,
         'with the directive that says otherwise');

    is($node->post('/api/auth/register',
                   { name => 'owner', password => $password })->status, 201,
       'the first may register also where registration is closed');
    is($node->post('/api/auth/register',
                   { name => 'bob', password => $password })->json->{error},
       'registration-closed', 'the second may not');

    $node->stop;
}


# Races.

for my $way ('/api/auth/register', '/api/setup/init') {
    my $node = Mesh::Test::Identity->new(workers => 4)->start;

    my @calls = map {
        $node->begin(POST => $way, json => { name => "racer $_",
                                             password => $password })
    } 1 .. 8;
    my @replies = map { $_->reply } @calls;

    my @owners = grep { $_->status == 201 && $_->json->{role} eq 'owner' }
                 @replies;
    my @others = grep { $_->status == 201 && $_->json->{role} eq 'member' }
                 @replies;
    my @late = grep { $_->status == 409
                      && $_->json->{error} eq 'already-initialized' }
               @replies;

    is(scalar @owners, 1, "$way: of eight at once one is the owner");
    is(scalar(@others) + @late, 7, 'the others are not');
    is($way =~ /init/ ? scalar @others : scalar @late, 0,
       'and are told by the rules of the way they came');

    my $owner = $owners[0]->json;

    is($node->get('/api/auth/me', token => $owner->{token})->json->{role},
       'owner', 'whoever was told so is the owner');

    # one name, eight at once

    @calls = map {
        $node->begin(POST => '/api/auth/register',
                     json => { name => 'twin', password => $password })
    } 1 .. 8;
    @replies = map { $_->reply } @calls;

    is(scalar(grep { $_->status == 201 } @replies), 1,
       'one name goes to one participant');
    is(scalar(grep { $_->status == 409 } @replies), 7,
       'and the others are refused');

    $node->stop;
}


done_testing;
