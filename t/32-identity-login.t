#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Login and logout: what a wrong password tells, how often one may guess, and
# what happens when more passwords come than may be hashed at once.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $password = Mesh::Test::Identity::PASSWORD;


{
    my $node = Mesh::Test::Identity->new(workers => 1)->start;

    my $owner = $node->owner;
    my $bob = $node->register('Bob');

    my $reply = $node->post('/api/auth/login',
                            { name => 'bOB', password => $password });
    my $login = $reply->json;

    is($reply->status, 200, 'the right password opens a session');
    is($login->{participantId}, $bob->id, 'of the participant');
    is($login->{did}, $bob->did, 'with its DID');
    isnt($login->{token}, $bob->token, 'a new one each time');
    is($node->may($login->{token}, '/room/send', 'r_1'), 200,
       'that may what the participant may');

    # a wrong password and an unknown name

    my $wrong = $node->post('/api/auth/login',
                            { name => 'bob', password => 'something else' });
    my $nobody = $node->post('/api/auth/login',
                             { name => 'nobody', password => $password });

    is($wrong->status, 401, 'a wrong password opens nothing');
    is($wrong->json->{error}, 'wrong-password', 'and is called that');
    is($nobody->raw =~ s/^Date:.*\r\n//mr, $wrong->raw =~ s/^Date:.*\r\n//mr,
       'a name that does not exist gets the same answer, byte by byte');

    # logout

    my $mine = { token => $login->{token} };

    is($node->post('/api/auth/logout', undef, %$mine)->status, 204,
       'a session is ended by its holder');
    is($node->get('/api/auth/me', %$mine)->status, 401,
       'and is worth nothing afterwards');
    is($node->may($login->{token}, '/room/read', 'r_1'), 401,
       'anywhere');
    is($bob->get('/api/auth/me')->status, 200,
       'another session of the same participant goes on');

    # guessing

    my $replies = 0;
    my $refused;

    $node->wait_for(sub {
        $replies++;
        $refused = $node->post('/api/auth/login',
                               { name => 'bob', password => 'guess it now' });
        return $refused->status == 429;
    }, 30, 'the end of guesses');

    is($replies, 10, 'of one name ten guesses are heard, with the first');
    like($refused->header('Retry-After'), qr/^(?:[1-5]\d?|60)$/,
         'then it says when to come back');
    is(() = $refused->headers('Retry-After'), 1, 'once');
    is($refused->json->{error}, 'rate-limited', 'and why');
    is($node->post('/api/auth/login', { name => 'BOB',
                                        password => $password })->status,
       429, 'not even the right password is heard now, in no case');
    is($node->post('/api/auth/login', { name => 'owner',
                                        password => $password })->status,
       200, 'other names are');

    $replies = 0;

    $node->wait_for(sub {
        my $n = $replies++;
        return $node->post('/api/auth/login',
                           { name => "name $n", password => 'guess it now' })
               ->status == 429;
    }, 60, 'the end of guesses from one address');

    cmp_ok($replies, '<=', 60, 'nor may one address go through many names');

    my @lines = grep { /identity: login of/ } split /\n/, $node->error_log;

    ok((grep { index($_, $bob->id) >= 0 } @lines),
       'the log has failures by the id of whom they are about');
    ok(!(grep { /guess it now|name \d/ } @lines),
       'and nothing that a client typed');

    $node->stop;
}


# Guesses side by side.

{
    my $node = Mesh::Test::Identity->new(workers => 1)->start;

    $node->register('Bob');

    my @guesses = map {
        $node->begin(POST => '/api/auth/login',
                     json => { name => 'bob', password => "guess $_ of all" })
    } 1 .. 30;

    my %heard;

    $heard{ $_->reply->status }++ for @guesses;

    is_deeply(\%heard, { 401 => 10, 429 => 20 },
              'guesses that come all at once are not heard either');

    $node->stop;
}


# More than may be hashed at once.

{
    my $node = Mesh::Test::Identity->new(directives => {
        mesh_identity_hash_max => 1, mesh_identity_hash_queue => 2 })->start;

    $node->owner;

    my @calls = map {
        $node->begin(POST => '/api/auth/register',
                     json => { name => "crowd $_", password => $password })
    } 1 .. 24;
    my @replies = map { $_->reply } @calls;

    my @made = grep { $_->status == 201 } @replies;
    my @busy = grep { $_->status == 503 } @replies;

    is(@made + @busy, 24, 'everybody gets an answer');
    cmp_ok(scalar @made, '>=', 3, 'one is hashed and two wait');
    cmp_ok(scalar @busy, '>=', 1, 'the rest is told to come back');
    is($busy[0]->json->{error}, 'busy', 'by name');
    ok($busy[0]->header('Retry-After'), 'and when');

    is($node->post('/api/auth/register',
                   { name => 'later', password => $password })->status, 201,
       'later there is room again');

    # clients that do not wait

    for (1 .. 12) {
        $node->begin(POST => '/api/auth/login',
                     json => { name => 'owner', password => $password })
             ->abort;
    }

    ok($node->wait_for(sub {
        $node->post('/api/auth/login', { name => 'owner',
                                         password => $password })->status
        == 200
    }, 20), 'those that leave give their place back');

    $node->stop;
}


done_testing;
