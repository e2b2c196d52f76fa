#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# Everybody has a namespace, "me": a person one of its own, a bot one below
# its maker's; without accounts, or for a stranger, there is none.

use strict;
use warnings;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Mesh::Test::Storage;

use constant PASSWORD => 'correct horse battery staple';

for my $adapter (Mesh::Test::Storage->adapters) {
    subtest $adapter => sub { test_me($adapter) };
}

subtest 'without accounts' => \&test_alone;

done_testing;


sub test_me {
    my ($adapter) = @_;

    my $node = Mesh::Test::Storage->new(
        adapter    => $adapter,
        more       => ['identity'],
        directives => { mesh_identity_key => '%%DATA%%/mesh.key' },
        locations  => <<'END')->start;
        location /api/ {
            ucan           optional;
            mesh_identity  on;
        }
END

    my ($owner, $ada, $ben) = map {
        $node->post('/api/auth/register', { name => $_, password => PASSWORD },
                    token => undef)->json
    } qw(owner ada ben);

    my @ada = (token => $ada->{token});


    # a person

    is($node->put('kv/me/note', 'mine', @ada)->status, 201,
       'a member has a namespace');
    is($node->get("kv/$ada->{participantId}/note", @ada)->body, 'mine',
       'which is called as the member is');
    is($node->get('', @ada)->json->{namespace}, $ada->{participantId},
       'and as the API says');
    is($node->get("kv/$ada->{participantId}/note",
                  token => $ben->{token})->status, 404,
       'it is not there for other members');
    is($node->get('kv/me/note', token => $ben->{token})->status, 404,
       'whose own is another one');
    is($node->put("kv/$ada->{participantId}/note", 'x',
                  token => $ben->{token})->status, 403,
       'and who cannot write there');
    is($node->get("kv/$ada->{participantId}/note",
                  token => $owner->{token})->body, 'mine',
       'the owner of the mesh sees it');


    # its bots

    my $bot = $node->post('/api/agents/bootstrap', { name => 'scribe' },
                          @ada)->json;
    my @bot = (token => $bot->{token});
    my $ns = $node->get('', @bot)->json->{namespace};

    is($ns, "$ada->{participantId}.$bot->{agentId}",
       "a bot's namespace is below its maker's");
    is($node->put('kv/me/note', 'of the bot', @bot)->status, 201,
       'the bot writes there');
    is($node->get("kv/$ns/note", @ada)->body, 'of the bot',
       'its maker can read it');
    is($node->get("kv/$ada->{participantId}/note", @bot)->status, 404,
       "and it cannot read its maker's");
    is($node->get("kv/$ns/note", token => $ben->{token})->status, 404,
       'nor can others read its own');


    # whoever is gone

    is($node->del("/api/participants/$bot->{agentId}", @ada)->status, 204,
       'a bot is removed');
    is($node->get('kv/me/note', @bot)->status, 401,
       'and its token with it');
    is($node->get("kv/$ns/note", @ada)->body, 'of the bot',
       'what it wrote is still its maker\'s');


    # strangers

    my $reply = $node->get('kv/me/note', token => $node->token);

    is($reply->status, 404, 'who has a token and no account has no namespace');
    like($reply->json->{detail}, qr/not registered/, 'and is told why');
    ok(!exists $node->get('', token => $node->token)->json->{namespace},
       'nor does the API name one');
    is($node->put('kv/me', 'x', token => $node->token)->status, 404,
       'whatever is asked of it');

    $node->stop;

    return;
}


sub test_alone {
    my $node = Mesh::Test::Storage->new->start;

    is($node->get('kv/me/x')->status, 404, 'there is no "me"');
    is($node->put('kv/me.too/x', 'x')->status, 201,
       'but a namespace may begin with the word');
    is($node->get('')->status, 200, 'the API tells what it is');

    my $json = $node->get('')->json;

    is($json->{adapter}, 'sqlite', 'by its adapter');
    like($json->{epoch}, qr/^[0-9a-f]{16}$/, 'its epoch');
    is($json->{capabilities}{durability}, 'full', 'what it promises');
    is($json->{limits}{keyBytes}, 512, 'and its limits');

    $node->stop;

    return;
}
