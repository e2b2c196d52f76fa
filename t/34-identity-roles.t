#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Roles: built-in ones are immutable, nobody makes or gives one above their
# own, and a change of role reaches every session (claim 6, promises S2, S8).

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::RealBin/lib";

use Mesh::Test::Identity;

my $node = Mesh::Test::Identity->new(workers => 2)->start;
my $owner = $node->owner;
my $bob = $node->register('bob');

sub login {
    my ($who) = @_;

    return Mesh::Test::Participant->new(%$who, %{
        $node->post('/api/auth/login', { name => $who->name,
                                         password => $who->password })
        ->json });
}

sub assign {
    my ($by, $whom, $role) = @_;

    return $by->patch('/api/participants/' . $whom->id, { role => $role });
}


# The list.

my $list = $bob->get('/api/roles');
my %roles = map { $_->{name} => $_ } @{ $list->json->{roles} };

is($list->status, 200, 'everybody may see the roles');
is_deeply({ map { $_ => $roles{$_}{priority} } keys %roles },
          { owner => 999, admin => 900, moderator => 700, super_agent => 600,
            member => 400, agent => 300, spectator => 50 },
          'the seven built-in ones with their priorities');
is(scalar(grep { !$_->{builtin} } values %roles), 0,
   'which say what they are');
ok($roles{member}{permissions}{send_message}, 'a member may send');
ok(!$roles{spectator}{permissions}{send_message}, 'a spectator may not');
ok(!$roles{member}{permissions}{manage_roles},
   'nor may a member manage roles');


# Built-in roles.

for my $name (keys %roles) {
    my $patch = $owner->patch("/api/roles/$name", { priority => 1 });
    my $delete = $owner->del("/api/roles/$name");

    is($patch->status . $patch->json->{error}, '403role-immutable',
       "not even the owner changes \"$name\"");
    is($delete->status . $delete->json->{error}, '403role-immutable',
       "nor deletes it");
}

is($owner->post('/api/roles', { name => 'admin', priority => 5,
                                permissions => {} })->json->{error},
   'role-immutable', 'nor makes another of that name');


# Giving.

my $no = assign($bob, $bob, 'admin');

is($no->status, 403, 'a member changes no role');
is($no->json->{command}, '/role/manage', 'for want of a capability');

my $changed = assign($owner, $bob, 'admin');

is($changed->status, 200, 'the owner makes an admin');
is($changed->json->{role}, 'admin', 'who is one');
is($bob->get('/api/auth/me')->status, 401, 'the old session is at its end');

$bob = login($bob);

is($bob->{role}, 'admin', 'the next has the new role');
is($node->may($bob->token, '/role/manage'), 200, 'and what belongs to it');
is($node->may($bob->token, '/mesh/admin'), 403, 'and no more');

my $carol = $node->register('carol');

is(assign($bob, $carol, 'moderator')->status, 200,
   'an admin gives what is below');

is(assign($bob, $carol, 'owner')->json->{error}, 'role-too-high',
   'but not what is above');
is(assign($owner, $carol, 'owner')->json->{error}, 'role-too-high',
   'there is one owner');
is(assign($bob, $owner, 'member')->json->{error}, 'role-immutable',
   'whose role stays');
is(assign($bob, $bob, 'member')->json->{error}, 'role-too-high',
   'nobody changes who is not below them');
is(assign($owner, $carol, 'king')->status, 400, 'roles exist');
is($owner->patch('/api/participants/p_' . '0' x 26, { role => 'member' })
   ->status, 404, 'and so do participants');
is($owner->patch('/api/participants/nobody', { role => 'member' })->status,
   404, 'and have ids');

$carol = login($carol);

my $bot = $node->bot('robot', maker => $carol);

is(assign($owner, $bot, 'member')->status, 409,
   'a bot has what its maker gave it, not a role');


# Down: what hangs below goes along.

is($node->may($bot->token, '/room/send', 'r_1'), 200, 'a bot sends');
is(assign($bob, $carol, 'spectator')->status, 200, 'its maker is demoted');
is($node->may($carol->token, '/room/send', 'r_1'), 401,
   'the session of the maker ends');
is($node->may($bot->token, '/room/send', 'r_1'), 401,
   'and so does that of the bot');

$carol = login($carol);
$bot = login($bot);

is($node->may($bot->token, '/room/read', 'r_1'), 200,
   'the bot logs in again and may what its maker may');
is($node->may($bot->token, '/room/send', 'r_1'), 403,
   'and nothing that its maker may not');

is(assign($bob, $carol, 'member')->status, 200, 'the maker is promoted');

$bot = login($bot);

is($node->may($bot->token, '/room/send', 'r_1'), 200,
   'and the bot has it back, without a password of its maker');


# Custom roles.

my $made = $bob->post('/api/roles', {
    name => 'greeter', priority => 350,
    permissions => { send_message => JSON::PP::true,
                     invite_users => JSON::PP::true,
                     create_room  => JSON::PP::false } });

is($made->status, 201, 'an admin makes a role');
is_deeply([ @{ $made->json }{qw(name priority builtin)} ],
          [ 'greeter', 350, JSON::PP::false ], 'that is a custom one');

for my $priority (900, 901, 999, 1000) {
    is($bob->post('/api/roles', { name => 'high', priority => $priority,
                                  permissions => {} })->json->{error},
       'role-too-high', "but none of priority $priority");
}

is(scalar(grep { $_->{name} eq 'high' }
          @{ $bob->get('/api/roles')->json->{roles} }), 0,
   'and none is made');
is($bob->post('/api/roles', { name => 'greeter', priority => 1,
                              permissions => {} })->status, 409,
   'a name is used once');

for my $bad ({ name => 'A b' }, { priority => 0 }, { priority => '350' },
             { permissions => [] },
             { permissions => { fly => JSON::PP::true } },
             { permissions => { send_message => 1 } }, { name => 7 })
{
    my $reply = $bob->post('/api/roles', { name => 'bad', priority => 10,
                                           permissions => {}, %$bad });

    is($reply->status, 400, 'a role that makes no sense is refused: '
                            . JSON::PP->new->canonical->encode($bad));
}

my $dave = $node->register('dave');

is(assign($bob, $dave, 'greeter')->status, 200, 'a custom role is given');

$dave = login($dave);

is($dave->{role}, 'greeter', 'and had');
is_deeply([ map { $node->may($dave->token, $_, 'r_1') }
            qw(/room/read /room/send /member/invite /room/create) ],
          [ 200, 200, 200, 403 ], 'it means what its permissions say');
is($dave->post('/api/roles', { name => 'mine', priority => 1,
                               permissions => {} })->status, 403,
   'who has it manages no roles');

is($bob->patch('/api/roles/greeter', { priority => 20 })->status, 409,
   'a role that somebody has stays as it is');
is($bob->del('/api/roles/greeter')->status, 409, 'and stays');
is(assign($bob, $dave, 'member')->status, 200, 'until nobody has it');
is($bob->patch('/api/roles/greeter',
               { permissions => { send_message => JSON::PP::false } })
   ->json->{permissions}{send_message}, JSON::PP::false, 'then it changes');
is($bob->patch('/api/roles/greeter', { priority => 950 })->json->{error},
   'role-too-high', 'but not above its maker');
is($bob->del('/api/roles/greeter')->status, 204, 'or goes');
is($bob->del('/api/roles/greeter')->status, 404, 'once');

# somebody who manages roles gives only what they have

$owner->post('/api/roles', { name => 'clerk', priority => 800, permissions => {
    manage_roles => JSON::PP::true, send_message => JSON::PP::false } });
assign($owner, $dave, 'clerk');
$dave = login($dave);

is($dave->post('/api/roles', { name => 'quiet', priority => 10,
                               permissions => {} })->status, 201,
   'a clerk of roles makes one');

my $wider = $dave->post('/api/roles', { name => 'loud', priority => 10,
    permissions => { send_message => JSON::PP::true } });

is($wider->status, 403, 'but none that may what the clerk may not');
is($wider->json->{command}, '/room/send', 'and learns what that is');

$node->stop;

done_testing;
