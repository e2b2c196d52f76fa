#!/usr/bin/perl
# Copyright (C) The Mesh contributors
# SPDX-License-Identifier: AGPL-3.0-only

# The mesh command, as people use it: keys, delegations, tokens, what they
# say and whether a mesh would take them.  Needs no nginx.

use strict;
use warnings;

use Cwd ();
use File::Basename qw(dirname);
use File::Temp ();
use JSON::PP ();
use Test::More;
use lib dirname(Cwd::realpath(__FILE__)) . '/lib';

use Mesh::Test;

use constant { OK => 0, REFUSED => 1, USAGE => 2 };

my $DID = qr/did:key:z6Mk[1-9A-HJ-NP-Za-km-z]{44}/;

my ($built, $text) = Mesh::Test->build('mesh');

is($built, 0, 'the command builds') or BAIL_OUT($text);

my $folder = File::Temp->newdir;
my ($rc, $out, $err);

chdir $folder or die "$folder: $!";


# One run; leaves ($rc, $out, $err), gives back the text without its line
# feed.  A leading hash may hold "stdin".

sub mesh {
    my @args = @_;
    my $opt = ref $args[0] ? shift @args : {};

    ($rc, $out, $err) = Mesh::Test::run(
        [ Mesh::Test->output_folder . '/mesh', @args ], %$opt,
        env => Mesh::Test->sanitizer_options);

    return $out =~ s/\n\z//r;
}


sub mesh_json {
    return JSON::PP::decode_json(mesh(@_, '--json'));
}


sub save {
    my ($name, $content, $mode) = @_;

    open my $file, '>', $name or die "$name: $!";
    print $file $content;
    close $file or die "$name: $!";
    chmod $mode, $name if defined $mode;

    return $name;
}


sub content {
    my ($name) = @_;

    open my $file, '<', $name or die "$name: $!";
    local $/;

    return scalar <$file>;
}


sub mode { return sprintf '%04o', (stat $_[0])[2] & 07777 }


# A whole run of verify: the exit code and the slug of the verdict.

sub verdict {
    my $answer = mesh_json('verify', @_);

    return ($rc == OK ? 'accepted' : 'refused') . ": $answer->{verdict}";
}


subtest 'help' => sub {
    mesh();
    is($rc, USAGE, 'nothing to do is a misuse');
    like($out, qr/^usage: mesh COMMAND/, 'and is answered with help');

    for my $name (qw(init key delegate token invoke revoke inspect verify)) {
        my $page = mesh('help', $name);

        is($rc, OK, "there is help for $name");
        like($page, qr/^usage: mesh $name .*^ {4}mesh $name/ms,
             'with an example');
        is(mesh($name, '--help'), $page, 'which --help gives as well');
    }

    for my $args ([ 'fly' ], [ 'help', 'fly' ], [ 'init' ],
                  [ 'init', '--fast', 'x' ], [ 'init', '-f', 'x' ],
                  [ 'key', 'burn', 'x' ], [ 'token', '--key' ],
                  [ 'verify', 'x' ], [ 'inspect' ])
    {
        mesh(@$args);
        is($rc, USAGE, "mesh @$args is a misuse");
        like($err, qr/^mesh: .*help/, 'and says where to read');
    }
};


subtest 'init' => sub {
    my $did = mesh('init', 'data');

    is($rc, OK, 'a mesh is made');
    like($did, qr/^$DID$/, 'its DID is printed');
    is(mode('data/mesh.key'), '0600', 'its key is its owner\'s');
    is(mode('data/cursor.key'), '0600', 'so is the cursor key');
    is(mode('data/mesh.did'), '0644', 'its DID is anybody\'s');
    is(content('data/mesh.did'), "$did\n", 'and in its file');
    like(content('data/mesh.key'), qr/^ed25519:[\w-]{43}\n\z/,
         'a key file is one line');

    my $key = content('data/mesh.key');

    is(mesh('init', 'data'), $did, 'run again, it prints the same');
    is(content('data/mesh.key'), $key, 'and changes nothing');
    ok(!mesh_json('init', 'data')->{created}, 'as --json says');

    unlink 'data/mesh.did', 'data/cursor.key';
    mesh('init', 'data');
    is(content('data/mesh.did'), "$did\n", 'what is missing is made');

    chmod 0640, 'data/mesh.key';
    mesh('init', 'data');
    is($rc, REFUSED, 'a key that others can read is refused');
    like($err, qr/chmod 600/, 'with the cure');
    chmod 0600, 'data/mesh.key';

    mkdir 'open';
    chmod 0777, 'open';
    mesh('init', 'open');
    is($rc, REFUSED, 'a folder that anybody can write is refused');

    mkdir 'other';
    save('other/mesh.did', "$did\n");
    mesh('init', 'other');
    is($rc, REFUSED, 'a DID of another key is not passed over');

    mesh('init', 'no/such/folder');
    is($rc, REFUSED, 'a folder that cannot be made is said so');
};


my $mesh = content('data/mesh.did') =~ s/\n//r;

my %did = map { $_ => mesh('key', 'new', "$_.key") } qw(ada bot eve);

subtest 'key' => sub {
    like($did{ada}, qr/^$DID$/, 'a key is made');
    is(mode('ada.key'), '0600', 'and is its owner\'s');
    is(mesh('key', 'show', 'ada.key'), $did{ada}, 'it shows its DID');

    my $before = content('ada.key');

    mesh('key', 'new', 'ada.key');
    is($rc, REFUSED, 'a key is never written over');
    is(content('ada.key'), $before, 'it stays');

    save('bad.key', "ed25519:AAAA\n", 0600);
    mesh('key', 'show', 'bad.key');
    is($rc, REFUSED, 'what is no key is refused');
};


# The mesh to Ada, Ada to her bot; used by all that follows.

save('ada.delegations', mesh('delegate', '--key', 'data/mesh.key', '--to',
                             $did{ada}, '--command', '/room', '--command',
                             '/dm/send', '--expires', 'never'));
save('bot.delegations', mesh('delegate', '--key', 'ada.key', '--to',
                             $did{bot}, '--from', 'ada.delegations',
                             '--command', '/room/read', '--arg', 'room=r_1',
                             '--arg', 'room=r_2', '--expires', '7d'));

my @bot = ('--key', 'bot.key', '--audience', 'data/mesh.did', '--proof',
           'bot.delegations');
my @ask = ('--audience', $mesh, '--trust', $mesh);

subtest 'delegate and inspect' => sub {
    my $tokens = mesh_json('inspect', '--verify', 'bot.delegations')->{tokens};
    my ($last) = grep { $_->{audience} eq $did{bot} } @$tokens;

    is(scalar @$tokens, 3, 'a container holds the chain and the new link');
    is($last->{issuer}, $did{ada}, 'the issuer is the key');
    is($last->{subject}, $mesh, 'the subject is that of the chain');
    is($last->{command}, '/room/read', 'the command is the one named');
    is_deeply($last->{policy},
              [ [ 'or', [ [ '==', '.room', 'r_1' ],
                          [ '==', '.room', 'r_2' ] ] ] ],
              'several values of an argument mean any of them');
    is($last->{signature}, 'good', 'and it is signed');
    is(mesh_json('inspect', 'bot.delegations')->{tokens}[0]{signature},
       'not checked', 'which is not said before it was checked');
    like($last->{expires}, qr/^20\d\d-.*Z$/, 'it ends');

    is(mesh({ stdin => content('bot.delegations') }, 'inspect', '-'),
       mesh('inspect', '@bot.delegations'), 'stdin and @file do as well');
    like($out, qr/^ +command +\/room\/read$/m, 'people can read it');

    mesh('delegate', '--key', 'bot.key', '--to', $did{eve}, '--from',
         'bot.delegations', '--command', '/room/send');
    is($rc, REFUSED, 'what one has not cannot be given');
    like($err, qr/\/room\/send/, 'and the refusal names it');

    for my $option ([ '--command', 'room/read' ], [ '--command', '/Room' ],
                    [ '--arg', 'room' ], [ '--policy', '[["is",".a",1]]' ],
                    [ '--expires', 'soon' ], [ '--form', 'X' ],
                    [ '--format', '0.7' ])
    {
        mesh('delegate', '--key', 'bot.key', '--to', $did{eve}, '--command',
             '/room', @$option);
        is($rc, USAGE, "@$option is a misuse");
    }
};


subtest 'a session' => sub {
    my $token = mesh('token', @bot);

    like($token, qr/^P[\w-]+$/, 'is one word that fits any header');
    is(verdict($token, @ask), 'accepted: ok', 'a mesh takes it');
    is(verdict($token, @ask, '--command', '/room/read', '--arg',
               'room=r_2'), 'accepted: ok', 'for what was delegated');
    is(verdict($token, @ask, '--command', '/room/read', '--arg',
               'room=r_3'), 'refused: policy-refused', 'not for another room');
    is(verdict($token, @ask, '--command', '/room/send', '--arg',
               'room=r_1'), 'refused: not-covered', 'nor another command');
    is(verdict($token, '--audience', $did{eve}), 'refused: wrong-audience',
       'no other mesh takes it');
    is(verdict($token, @ask, '--at', '2h'), 'refused: token-expired',
       'it ends after an hour');
    is(verdict('bot.delegations', @ask), 'refused: no-session',
       'delegations alone are no login');

    mesh('token', @bot, '--expires', '25h');
    is($rc, OK, 'a longer one can be made');
    like($err, qr/session-too-long/, 'but is said to be refused');

    my $stolen = mesh('token', '--key', 'eve.key', '--audience', $mesh,
                      '--proof', 'bot.delegations');

    is(verdict($stolen, @ask), 'refused: untrusted-root',
       'delegations of another carry nothing');

    save('session', $token);
    mesh('delegate', '--key', 'bot.key', '--to', $did{eve}, '--from',
         'session', '--command', '/room/read');
    unlike(join(' ', map { $_->{kind} }
                @{ mesh_json({ stdin => $out }, 'inspect', '-')->{tokens} }),
           qr/invocation/, 'a session never travels on as a proof');
};


subtest 'an invocation' => sub {
    my $token = mesh('token', @bot, '--invoke', '/room/read', '--arg',
                     'room=r_1');

    is(verdict($token, @ask, '--command', '/room/read', '--arg',
               'room=r_1'), 'accepted: ok', 'allows what it says');
    is(verdict($token, @ask, '--command', '/room/read', '--arg',
               'room=r_2'), 'refused: policy-refused', 'and nothing else');

    mesh('token', @bot, '--invoke', '/room/read', '--arg', 'room=r_3');
    is($rc, REFUSED, 'what the proofs do not give is not signed');
};


subtest '0.10' => sub {
    my @old = ('--format', '0.10');

    save('ada.jwt', mesh('delegate', @old, '--key', 'data/mesh.key', '--to',
                         $did{ada}, '--command', '/room'));
    save('bot.jwt', mesh('delegate', @old, '--key', 'ada.key', '--subject',
                         $mesh, '--to', $did{bot}, '--from', 'ada.jwt',
                         '--command', '/room/read', '--arg', 'room=r_1'));

    my $made = mesh_json('token', @old, '--key', 'bot.key', '--audience',
                         $mesh, '--proof', 'bot.jwt');
    my @session = ($made->{token}, '--proofs', $made->{proofs}, @ask);

    is(scalar(() = $made->{proofs} =~ /,/g), 1, 'two proofs go along');
    is(verdict(@session, '--command', '/room/read', '--arg', 'room=r_1'),
       'accepted: ok', 'a session allows what was delegated');
    is(verdict(@session, '--command', '/room/read', '--arg', 'room=r_2'),
       'refused: not-covered', 'and nothing else');
    is(verdict($made->{token}, @ask), 'refused: proof-missing',
       'without the proofs it is worth nothing');

    my $wide = mesh_json('token', @old, '--key', 'bot.key', '--audience',
                         $mesh, '--proof', 'bot.jwt', '--command', '/room');

    is(verdict($wide->{token}, '--proofs', $wide->{proofs}, @ask),
       'refused: capability-widened', 'who claims more gets nothing');
};


for my $name ('data/mesh', 'ada', 'bot', 'eve') {
    my ($secret) = content("$name.key") =~ /:(.*)/;

    unlike(mesh('inspect', 'bot.delegations') . mesh('key', 'show', 'ada.key')
           . mesh('token', @bot) . $err, qr/\Q$secret\E/,
           "the secret of $name.key is never printed");
}

chdir '/';

done_testing;
